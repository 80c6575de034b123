"""The notebook that a cluster belongs to, as it declared itself."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facility.environment import Environment, difference
from facility.process import ProcessIdentity, boot_id


@dataclass(frozen=True, slots=True)
class Notebook:
    """A declaration, checked. Whoever sent it can only harm his own cluster."""

    environment: Environment | None
    prefix: Path | None
    process: ProcessIdentity | None
    """Who it is, if it runs on this machine since this boot."""

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

    def is_gone(self) -> bool:
        """Whether it certainly runs no more."""
        return self.process is not None and not self.process.is_alive()


def mismatch(notebook: Environment, worker: Environment) -> str | None:
    """Say in one line how workers would differ from the notebook; None if not."""
    found = difference(notebook, worker)
    if found.is_empty:
        return None
    return f"workers would differ from the notebook: {found}"
