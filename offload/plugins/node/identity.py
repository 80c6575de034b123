"""Which process is meant, on this machine: a pid alone names nothing.

As :mod:`facility.process`, for a program whose start may not cost an import of asyncio.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass

from offload.plugins.node.shim import boot_id, identity


@dataclass(frozen=True, slots=True)
class NodeProcess:
    """A process of one boot of one machine."""

    pid: int
    start_ticks: int
    boot: str

    @classmethod
    def of(cls, document: Mapping[str, object]) -> NodeProcess | None:
        """Read what :func:`offload.plugins.node.shim.identity` returned."""
        match document:
            case {"pid": int(pid), "start_ticks": int(ticks), "boot": str(boot)}:
                return cls(pid, ticks, boot)
            case _:
                return None

    def is_alive(self) -> bool:
        """Whether this very process runs here; a zombie does not."""
        return self.boot == boot_id() and identity(self.pid) == {
            "pid": self.pid,
            "start_ticks": self.start_ticks,
            "boot": self.boot,
        }

    def open(self) -> int | None:
        """Return a descriptor that becomes readable at its end; ``None`` if it has."""
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return None
        if self.is_alive():
            return handle
        os.close(handle)
        return None

    def send(self, number: signal.Signals) -> None:
        """Signal this very process, never another one of the same pid."""
        handle = self.open()
        if handle is None:
            return
        try:
            signal.pidfd_send_signal(handle, number)
        except ProcessLookupError:
            pass
        finally:
            os.close(handle)
