"""What jobs need of a facility: settings for its people, agents, and where sites dial in."""

from __future__ import annotations

import os
from pathlib import Path

from facility.errors import UsageError
from facility.local.files import ensure_private_directory, replace_file
from facility.local.ports import holder, probe
from facility.local.publishing import publisher_place
from facility.local.secrets import ensure_host_key
from facility.runtime import Runtime
from facility.spec import Facility, Site
from facility.spec.consistency import HERE
from offload.jobs.settings import Settings
from offload.link.admission import AdmittedKey, EndpointSettings

HOST_KEY = "link-host-key"


def sites_of(spec: Facility) -> tuple[Site, ...]:
    """Return every site: this machine first, unless the file has it elsewhere."""
    if any(site.name == HERE for site in spec.sites):
        return spec.sites
    here = Site(name=HERE, description="processes of this machine")
    return (here, *spec.sites)


def settings_of(runtime: Runtime) -> Settings:
    """Return what people's programs and agents are told. Holds no secret."""
    state = runtime.state_dir / "jobs"
    if runtime.multi_user:  # of whoever reads it
        state = Path("~/.local/state/analysis-facility") / runtime.id / "jobs"
    offload = runtime.spec.offload
    return Settings(
        facility_id=runtime.id,
        state_dir=state,
        sites=sites_of(runtime.spec),
        store=offload.store,
        launcher_socket=launcher_socket(runtime),
        dialed_dir=_sockets(runtime),
        jobs_dir=Path("~") / offload.jobs,
        multi_user=runtime.multi_user,
        retention_s=offload.retention,
        most_returned_bytes=offload.returned,
        people=tuple(sorted(runtime.people)),
        **publisher_place(runtime),
    )


def endpoint_of(runtime: Runtime) -> EndpointSettings | None:
    """Return what the process that sites dial in to is told; ``None`` without any."""
    keys = tuple(
        AdmittedKey(
            site=site.name,
            person=key.person or runtime.owner,
            key=key.key,
            expires=key.expires,
        )
        for site in runtime.spec.sites
        for key in site.keys
    )
    if not keys:
        return None
    dial_in = runtime.spec.offload.dial_in
    return EndpointSettings(
        bind=dial_in.bind,
        port=dial_in.port,
        host_key=runtime.secrets_dir / HOST_KEY,
        directory=_sockets(runtime),
        multi_user=runtime.multi_user,
        keys=keys,
    )


def launcher_socket(runtime: Runtime) -> Path:
    """Return where agents are asked for."""
    parent = runtime.open_dir if runtime.multi_user else runtime.run_dir
    return parent / "agents.sock"


def _sockets(runtime: Runtime) -> Path:
    parent = runtime.open_dir if runtime.multi_user else runtime.run_dir
    return parent / "link"


def endpoint_file(runtime: Runtime) -> Path:
    """Return what that process reads."""
    return runtime.run_dir / "link.json"


def check_offload(spec: Facility, owner: str) -> None:
    """Raise unless sites can dial in, and for people whom the facility knows.

    Raises:
        UsageError: the port is taken, or a key is for somebody else.
    """
    people = {owner, *spec.users.allowed, *spec.users.admins}
    dialing = [site for site in spec.sites if site.keys]
    for site in dialing:
        for key in site.keys:
            if key.person is not None and key.person not in people:
                raise UsageError(
                    f"sites: {site.name} has a key of {key.person!r}, who is not in "
                    "users of facility.yaml"
                )
    dial_in = spec.offload.dial_in
    if dialing and (error := probe(dial_in.bind, dial_in.port)):
        raise UsageError(
            f"offload.dial_in: {dial_in.bind}:{dial_in.port} cannot be had "
            f"({os.strerror(error) if error > 0 else 'unknown name'}; in use by "
            f"{holder(dial_in.port)}): choose another address or port"
        )


def prepare_offload(runtime: Runtime) -> None:
    """Write what agents, people's programs and the endpoint read."""
    if runtime.multi_user:
        # Everybody may see which facilities there are (who logs in by SSH is told by
        # nobody), and pass; nobody else may list what is in one, or write.
        for folder, mode in (
            (runtime.open_dir.parent, 0o755),
            (runtime.open_dir, 0o711),
        ):
            folder.mkdir(mode=mode, exist_ok=True)
            folder.chmod(mode)
    else:
        ensure_private_directory(runtime.open_dir)
    settings = settings_of(runtime)
    settings.save(runtime.offload_file, mode=0o644 if runtime.multi_user else 0o600)
    endpoint = endpoint_of(runtime)
    if endpoint is not None:
        ensure_host_key(endpoint.host_key)
        replace_file(endpoint_file(runtime), endpoint.model_dump_json(indent=1))
