"""``run/processes.json``: what the supervisor has started, for whoever comes after it.

Written whole at every change, before the change is waited for. It is also what
``facility status`` and a waiting ``facility up`` read.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facility.local.core import Phase, ProcessState
from facility.local.files import replace_file
from facility.process import ProcessIdentity


@dataclass(frozen=True, slots=True)
class ProcessEntry:
    """One supervised process. Times in seconds since the epoch."""

    name: str
    state: ProcessState
    identity: ProcessIdentity | None
    """``None`` while it does not run."""
    digest: str
    """Of its command: see ``ProcessSpec.digest``."""
    url: str
    since: float
    first_ready: float | None
    restarts: int
    error: str


@dataclass(frozen=True, slots=True)
class Ledger:
    """The whole file."""

    id: str
    url: str
    """What people open."""
    supervisor: ProcessIdentity
    phase: Phase
    error: str
    started: float
    processes: tuple[ProcessEntry, ...]

    def save(self, path: Path) -> None:
        data = {
            "id": self.id,
            "url": self.url,
            "supervisor": self.supervisor.to_json(),
            "phase": self.phase,
            "error": self.error,
            "started": self.started,
            "processes": [_entry_to_json(entry) for entry in self.processes],
        }
        # A power failure ends the processes that it tells of.
        replace_file(path, json.dumps(data, indent=1), durable=False)

    @classmethod
    def load(cls, path: Path) -> Ledger | None:
        """Read what :meth:`save` wrote; ``None`` if there is none.

        One of another version, or cut short by a power failure, counts as none.
        """
        try:
            data = json.loads(path.read_text())
            return cls(
                id=data["id"],
                url=data["url"],
                supervisor=ProcessIdentity.from_json(data["supervisor"]),
                phase=Phase(data["phase"]),
                error=data["error"],
                started=data["started"],
                processes=tuple(_entry_from_json(entry) for entry in data["processes"]),
            )
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None


def _entry_to_json(entry: ProcessEntry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "state": entry.state,
        "identity": None if entry.identity is None else entry.identity.to_json(),
        "digest": entry.digest,
        "url": entry.url,
        "since": entry.since,
        "first_ready": entry.first_ready,
        "restarts": entry.restarts,
        "error": entry.error,
    }


def _entry_from_json(data: dict[str, Any]) -> ProcessEntry:
    identity = data["identity"]
    return ProcessEntry(
        name=data["name"],
        state=ProcessState(data["state"]),
        identity=None if identity is None else ProcessIdentity.from_json(identity),
        digest=data["digest"],
        url=data["url"],
        since=data["since"],
        first_ready=data["first_ready"],
        restarts=data["restarts"],
        error=data["error"],
    )
