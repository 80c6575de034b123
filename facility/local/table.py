"""The processes that make a facility: what is started, and how it answers."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

from facility.local.runtime import MARK, VARIABLE, Runtime

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
    ready_url: str = ""
    """A GET there tells whether the process works."""
    ready_statuses: frozenset[int] = frozenset({200})
    """The answers that mean yes."""

    @property
    def digest(self) -> str:
        """Names the command and its environment, so that another one is not adopted."""
        text = json.dumps([self.argv, sorted(self.env.items())])
        return hashlib.sha256(text.encode()).hexdigest()


def environment_of(runtime: Runtime) -> dict[str, str]:
    """Return what every process of the facility has in its environment."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(_FOREIGN)}
    bin_dir = str(Path(sys.executable).parent)
    others = inherited.get("PATH", os.defpath).split(os.pathsep)
    path = [bin_dir, *(p for p in others if p != bin_dir)]
    return inherited | {
        "PATH": os.pathsep.join(path),
        VARIABLE: str(runtime.run_dir / "facility.json"),
        MARK: runtime.id,
    }


def process_table(runtime: Runtime) -> tuple[ProcessSpec, ...]:
    """Return the processes of an embedded facility."""
    ports = runtime.ports
    return (
        ProcessSpec(
            "proxy",
            (sys.executable, "-m", "facility.local.proxy"),
            {},
            f"http://127.0.0.1:{ports.proxy_api}/api/routes",
            # It wants a token, which readiness checks do not carry.
            frozenset({200, 401, 403}),
        ),
        ProcessSpec(
            "gateway",
            (sys.executable, "-m", "gateway"),
            {},
            f"{runtime.gateway_url}/api/health",
        ),
        ProcessSpec(
            "hub",
            (sys.executable, "-m", "hub_config"),
            {},
            f"{runtime.public_url}/hub/api/",
        ),
    )
