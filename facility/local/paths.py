"""Where the facility of one directory keeps its state; one facility per directory.

Everything lies below ``$XDG_STATE_HOME/analysis-facility`` (mode 0700):

* ``places/KEY/`` belongs to the directory, whatever its ``facility.yaml`` says: locks,
  and a pointer to where the facility that was started last keeps its things. So
  ``facility down`` finds a facility whose file was renamed, moved or broken since.
* ``NAME-KEY/`` is the state (databases, secrets, logs), ``NAME-KEY/run/`` what is gone
  after ``facility down``. ``storage.state`` replaces the parent of ``NAME-KEY``.

The run directory is not ``$XDG_RUNTIME_DIR``: that one is emptied when the person logs
out, and is another one in a cron job, while the facility runs on.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_state_path

from facility.local.files import ensure_private_directory, replace_file
from facility.local.lock import is_locked

APPLICATION = "analysis-facility"
_SUPERVISOR_LOCK = "supervisor.lock"
_POINTER = "storage.json"


def home() -> Path:
    """Return the directory that holds the state of all facilities of this person."""
    return user_state_path(APPLICATION, appauthor=False)


@dataclass(frozen=True, slots=True)
class Storage:
    """The directories of one facility."""

    id: str
    state_dir: Path

    @property
    def run_dir(self) -> Path:
        return self.state_dir / "run"

    @property
    def log_dir(self) -> Path:
        return self.state_dir / "log"

    @property
    def secrets_dir(self) -> Path:
        return self.state_dir / "secrets"

    @property
    def runtime_file(self) -> Path:
        return self.run_dir / "facility.json"

    @property
    def ledger_file(self) -> Path:
        return self.run_dir / "processes.json"

    def ensure(self) -> None:
        """Create the directories with mode 0700."""
        for path in (self.state_dir, self.run_dir, self.log_dir, self.secrets_dir):
            ensure_private_directory(path)


@dataclass(frozen=True, slots=True)
class Place:
    """The directory of a facility, as a person names it."""

    directory: Path
    home: Path

    @classmethod
    def of(cls, directory: Path) -> Place:
        """Return the place of a directory; links and ``..`` are resolved."""
        return cls(directory.resolve(), home())

    @property
    def key(self) -> str:
        """Eight hexadecimal digits of the absolute path."""
        return hashlib.sha256(os.fsencode(self.directory)).hexdigest()[:8]

    @property
    def _dir(self) -> Path:
        return self.home / "places" / self.key

    @property
    def supervisor_lock(self) -> Path:
        """Locked as long as a supervisor serves this directory."""
        return self._dir / _SUPERVISOR_LOCK

    @property
    def command_lock(self) -> Path:
        """Locked while an ``up`` or ``down`` decides and acts."""
        return self._dir / "command.lock"

    @property
    def _pointer(self) -> Path:
        return self._dir / _POINTER

    def ensure(self) -> None:
        ensure_private_directory(self._dir)

    def storage(self, name: str, parent: Path | None = None) -> Storage:
        """Return where a facility of this name keeps its things."""
        identity = f"{name}-{self.key}"
        base = self.home if parent is None else self.directory / parent.expanduser()
        return Storage(identity, base / identity)

    def last_storage(self) -> Storage | None:
        """Return the storage of the facility started here last, if there was one."""
        return _pointed_to(self._pointer)

    def remember(self, storage: Storage) -> None:
        """Make ``storage`` the answer of :meth:`last_storage`."""
        data = {"id": storage.id, "state_dir": str(storage.state_dir)}
        replace_file(self._pointer, json.dumps(data))


def running_storages(home: Path) -> list[Storage]:
    """Return where each facility that runs now, in whatever directory, keeps its things.

    Args:
        home: see :func:`home`.
    """
    found = (
        _pointed_to(folder / _POINTER)
        for folder in sorted((home / "places").glob("*"))
        if is_locked(folder / _SUPERVISOR_LOCK)
    )
    return [storage for storage in found if storage is not None]


def _pointed_to(pointer: Path) -> Storage | None:
    try:
        data = json.loads(pointer.read_text())
    except FileNotFoundError:
        return None
    return Storage(data["id"], Path(data["state_dir"]))
