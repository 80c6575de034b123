"""The notebook that a cluster belongs to, as it declared itself."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facility.environment import Environment, describe, difference
from facility.process import ProcessIdentity, boot_id


@dataclass(slots=True)
class Notebook:
    """A declaration, checked. Whoever sent it can only harm his own cluster."""

    environment: Environment | None
    prefix: Path | None
    process: ProcessIdentity | None
    """Who it is, if it runs on this machine since this boot."""
    _gone_since: float | None = None

    @classmethod
    def parse(cls, declared: dict[str, Any]) -> Notebook:
        """Read a declaration; an empty one is a client that declares nothing.

        Raises:
            ValueError: it is malformed.
        """
        if not declared:
            return cls(None, None, None)
        try:
            environment = Environment.from_json(declared["environment"])
            prefix = Path(declared["prefix"])
            process = ProcessIdentity.from_json(declared["process"])
            host = str(declared["host"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"option 'notebook' is malformed: {error!r}") from error
        here = host == socket.gethostname() and process.boot == boot_id()
        return cls(environment, prefix, process if here else None)

    def gone_for_s(self, now: float) -> float:
        """Return for how long it has certainly not run, as far as was seen until now."""
        if self.process is None or self.process.is_alive():
            self._gone_since = None
            return 0.0
        if self._gone_since is None:
            self._gone_since = now
        return now - self._gone_since

    def mismatch(self, prefix: Path) -> str | None:
        """Say in one line why workers in that environment cannot be its; None if so."""
        if self.environment is None:
            return None
        try:
            workers = describe(prefix)
        except ValueError as error:
            return f"environment {prefix}: {error}"
        return mismatch(self.environment, workers)


def mismatch(notebook: Environment, worker: Environment) -> str | None:
    """Say in one line how workers would differ from the notebook; None if not."""
    found = difference(notebook, worker)
    if found.is_empty:
        return None
    return f"workers would differ from the notebook: {found}"
