"""The processes that make a facility: what is started, and how it answers."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from facility import __version__
from facility.local.direct import direct
from facility.local.offloading import endpoint_file, endpoint_of, launcher_socket
from facility.local.publishing import publisher_file, publisher_url
from facility.open_places import OFFLOAD
from facility.runtime import MARK, VARIABLE, Runtime
from gateway.proxy import command as gateway_proxy_command

# What a notebook server or a Dask worker has in its environment would be taken for
# configuration by our own hub or gateway when a person types `facility up` in there.
_FOREIGN = ("JUPYTERHUB_", "JPY_", "DASK_", "CONFIGPROXY_", "FACILITY_")


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """One process of the table."""

    name: str
    argv: tuple[str, ...]
    """Without secrets: everybody on the machine can read it."""
    env: dict[str, str] = field(default_factory=dict, repr=False)
    ready_urls: tuple[str, ...] = ()
    """A process is ready when a GET of each, in this order, answers 200 (repeated until
    it does). Any answer of the first is a sign of life afterwards. What speaks another
    protocol has ``tcp://HOST:PORT`` or ``unix:PATH``: then a connection will do."""
    ready_headers: dict[str, str] = field(default_factory=dict, repr=False)
    grace_s: float = 5.0
    """Between SIGTERM and SIGKILL."""
    after: str | None = None
    """Started the first time once that process is ready; independent from then on."""

    @property
    def digest(self) -> str:
        """Names command, environment and version: others' processes are not adopted."""
        text = json.dumps([__version__, self.argv, sorted(self.env.items())])
        return hashlib.sha256(text.encode()).hexdigest()


def environment_of(runtime: Runtime) -> dict[str, str]:
    """Return what every process of the facility has in its environment."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(_FOREIGN)}
    bin_dir = str(Path(sys.executable).parent)
    others = inherited.get("PATH", os.defpath).split(os.pathsep)
    path = [bin_dir, *(p for p in others if p != bin_dir)]
    no_proxy = direct(inherited, runtime.spec.hub.bind)
    return inherited | {
        **no_proxy,
        "PATH": os.pathsep.join(path),
        VARIABLE: str(runtime.run_dir / "facility.json"),
        MARK: runtime.id,
        OFFLOAD: str(runtime.offload_file),
    }


def process_table(runtime: Runtime) -> tuple[ProcessSpec, ...]:
    """Return the processes of an embedded facility, what people wait for first."""
    ports = runtime.ports
    proxy_token = runtime.secret("proxy-token")
    _, gateway_proxy = gateway_proxy_command(runtime)
    return (
        ProcessSpec(
            "proxy",
            (sys.executable, "-m", "facility.local.proxy"),
            ready_urls=(f"http://127.0.0.1:{ports.proxy_api}/api/routes",),
            ready_headers={"Authorization": f"token {proxy_token}"},
        ),
        ProcessSpec(
            "hub",
            (sys.executable, "-m", "hub_config"),
            # Directly first: the proxy would log every question to a hub not yet there.
            ready_urls=(
                f"http://127.0.0.1:{ports.hub_api}/hub/health",
                f"{runtime.public_url}/hub/health",
            ),
        ),
        ProcessSpec(
            "gateway",
            (sys.executable, "-m", "gateway"),
            ready_urls=(f"http://127.0.0.1:{ports.gateway_api}/api/health",),
        ),
        # The program itself: `python -m gateway proxy` would only replace itself by it.
        # It asks the gateway for routes at its start, and again 0.5, 1, 2 ... s later.
        ProcessSpec(
            "gateway-proxy",
            tuple(gateway_proxy),
            env={"DASK_GATEWAY_PROXY_TOKEN": runtime.secret("gateway-proxy-token")},
            ready_urls=(f"{runtime.gateway_url}/api/health",),
            after="gateway",
        ),
        ProcessSpec(
            "agents",
            (sys.executable, "-m", "offload.jobs.launcher"),
            ready_urls=(f"unix:{launcher_socket(runtime)}",),
            # Agents end the plugins of this machine, and these what they answer.
            grace_s=30.0,
            # Nobody waits for it to log in: what people wait for has the cores first.
            after="hub",
        ),
        *_link(runtime),
        *_publisher(runtime),
    )


def _link(runtime: Runtime) -> Iterator[ProcessSpec]:
    """Yield the process that sites dial in to, if one does."""
    endpoint = endpoint_of(runtime)
    if endpoint is None:
        return
    # It listens there, too, if the address means every interface.
    every = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - compared with
    address = every.get(endpoint.bind, endpoint.bind)
    yield ProcessSpec(
        "link",
        (sys.executable, "-m", "offload.link", str(endpoint_file(runtime))),
        ready_urls=(f"tcp://{address}:{endpoint.port}",),
    )


def _publisher(runtime: Runtime) -> Iterator[ProcessSpec]:
    """Yield the process that makes pushed images visible, if there is to be one."""
    url = publisher_url(runtime)
    if url is not None:
        yield ProcessSpec(
            "publisher",
            (
                sys.executable,
                "-m",
                "offload.cache.publishing",
                str(publisher_file(runtime)),
            ),
            ready_urls=(f"{url}/health",),
            grace_s=30.0,  # what is being published is finished, or given up
            after="hub",
        )
