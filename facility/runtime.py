"""What the processes of one running facility share: paths, ports and the file.

The supervisor writes it once, at start, to ``run/facility.json``; hub, proxy and
gateway read it back through the environment variable ``FACILITY_RUNTIME``. It holds
no secret: secrets are files of mode 0600 below ``state/secrets``.
"""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from facility.open_places import OFFLOAD_FILE, open_dir
from facility.spec import Facility

VARIABLE = "FACILITY_RUNTIME"
"""Environment variable that holds the path of the runtime file."""

MARK = "FACILITY_ID"
"""Environment variable by which every process of a facility is recognised."""

OUTLIVES = "ANALYSIS_FACILITY_OUTLIVES"
"""Set in the environment of what a facility started but does not end: the plugin of a
site on this machine, so that the jobs below it run on after ``facility down``."""


class Ports(BaseModel):
    """TCP ports on the loopback interface (``hub`` on ``spec.hub.bind``)."""

    model_config = ConfigDict(frozen=True)

    hub: int
    """What people open: the proxy in front of hub, servers and gateway."""
    hub_api: int
    """JupyterHub itself, behind the proxy."""
    proxy_api: int
    """Routing table of the proxy."""
    gateway: int
    """dask-gateway's web proxy (``/services/dask-gateway`` leads here)."""
    gateway_tls: int
    """dask-gateway's scheduler proxy (``gateway://``, TLS with SNI)."""
    gateway_api: int
    """dask-gateway's server, behind its proxy."""


class Runtime(BaseModel):
    """Everything a process of this facility must know, except secrets."""

    model_config = ConfigDict(frozen=True)

    id: str
    """Names the facility of one directory: ``NAME-HASH``."""
    directory: Path
    """Where ``facility.yaml`` is (or would be)."""
    state_dir: Path
    """Databases, secrets and logs; survives ``facility down``."""
    run_dir: Path
    """Sockets, process ledger and this file; gone after ``facility down``."""
    owner: str
    """Login name of who runs the facility."""
    multi_user: bool
    """True if it runs as root: every person's processes under his own uid."""
    ports: Ports
    spec: Facility

    @property
    def log_dir(self) -> Path:
        return self.state_dir / "log"

    @property
    def secrets_dir(self) -> Path:
        return self.state_dir / "secrets"

    def secret(self, name: str) -> str:
        """Read a secret that the supervisor made (see ``facility.local.secrets``)."""
        return (self.secrets_dir / name).read_text().strip()

    @property
    def clusters_dir(self) -> Path:
        """Where Dask clusters have their folders, each its user's own."""
        return self.open_dir / "clusters"

    @property
    def open_dir(self) -> Path:
        """What everybody whom the facility serves may reach."""
        return open_dir(self.id, self.state_dir, multi_user=self.multi_user)

    @property
    def offload_file(self) -> Path:
        """What people's programs must know to submit jobs; stays after ``down``."""
        return self.open_dir / OFFLOAD_FILE

    @property
    def people(self) -> frozenset[str]:
        """Who may log in and have processes here."""
        users = self.spec.users
        return frozenset([*(users.allowed or [self.owner]), *users.admins])

    @property
    def public_url(self) -> str:
        """Where people go, without a trailing slash."""
        scheme = "https" if self.spec.hub.tls_certificate else "http"
        bind = self.spec.hub.bind
        host = f"[{bind}]" if ":" in bind else bind
        return f"{scheme}://{host}:{self.ports.hub}"

    @property
    def hub_api_url(self) -> str:
        """The hub's REST interface as services and servers reach it."""
        return f"http://127.0.0.1:{self.ports.hub_api}/hub/api"

    @property
    def gateway_prefix(self) -> str:
        """Path of dask-gateway, the same behind every proxy."""
        return "/services/dask-gateway"

    @property
    def gateway_url(self) -> str:
        """dask-gateway as servers and workers of this machine reach it."""
        return f"http://127.0.0.1:{self.ports.gateway}{self.gateway_prefix}"

    @property
    def gateway_tls_url(self) -> str:
        """dask-gateway's scheduler proxy."""
        return f"gateway://127.0.0.1:{self.ports.gateway_tls}"

    def save(self) -> Path:
        """Write ``run/facility.json`` atomically and return its path."""
        path = self.run_dir / "facility.json"
        draft = path.with_suffix(".new")
        draft.write_text(self.model_dump_json(indent=1))
        draft.replace(path)
        return path

    @classmethod
    def load(cls, path: Path) -> Runtime:
        """Read what :meth:`save` wrote."""
        return cls.model_validate_json(path.read_text())

    @classmethod
    def from_environment(cls) -> Runtime:
        """Read the file that ``FACILITY_RUNTIME`` names (set by the supervisor)."""
        return cls.load(Path(os.environ[VARIABLE]))
