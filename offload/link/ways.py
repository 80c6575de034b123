"""From a site of ``facility.yaml`` to the way there and to its plugin's ``site.yaml``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from facility.spec import Site
from offload.link.admission import socket_path
from offload.link.dialed import DialedLink
from offload.link.login import Login
from offload.link.state import Link

THEIR_WORK = "~/.local/state/analysis-facility/site"
"""The plugin's own default: see ``offload.plugins.config``."""
OUR_WORK = "~/.local/state/analysis-facility/sites"
"""Parent of the work areas of sites that the facility configures."""


def plugin_settings(site: Site, work: str) -> dict[str, Any]:
    """Return what ``site.yaml`` of a site holds (keys of ``offload.plugins.config``).

    Args:
        site: as ``facility.yaml`` has it.
        work: the plugin's work area there; its socket is in it.
    """
    settings: dict[str, Any] = {
        "site": site.name,
        "executor": site.kind.value,
        "work": work,
        "socket": f"{work}/plugin.sock",
        "slices": dict(site.slices),
    }
    if site.repository is not None:
        settings["repository"] = site.repository.model_dump(
            mode="json", exclude_defaults=True
        )
    slurm = {"partition": site.partition, "flags": list(site.flags)}
    return settings | {"slurm": {k: v for k, v in slurm.items() if v}}


def login_of(site: Site) -> Login:
    """Return how the facility logs in at a site that has a ``host``."""
    assert site.host is not None
    default = f"{OUR_WORK}/{site.name}" if site.config is None else THEIR_WORK
    work = site.work or default
    content = None
    if site.config is None:
        content = json.dumps(plugin_settings(site, work), indent=1) + "\n"
    return Login(
        host=site.host,
        user=site.user,
        port=site.port,
        identity=site.identity,
        known_hosts=site.known_hosts,
        command=site.command,
        config=site.config or f"{work}/site.yaml",
        content=content,
        socket=f"{work}/plugin.sock",
    )


def link_for(site: Site, *, person: str, folder: Path, dialed: Path | None) -> Link:
    """Return the way of one person to a remote site.

    Args:
        site: one that :attr:`~facility.spec.Site.is_remote`.
        person: login name here.
        folder: his own, mode 0700, for the socket of a site that we log in at.
        dialed: where sockets of sites that dial in appear.
    """
    if site.host is None:
        assert dialed is not None
        return DialedLink(site.name, socket_path(dialed, person, site.name))
    # Only here: who has no site elsewhere need not load an SSH library.
    from offload.link.reaching import SshLink

    return SshLink(login_of(site), folder / f"{site.name}.sock")
