"""What ``facility up`` shows while processes start."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.status import Status

from facility.local.core import ProcessState
from facility.local.ledger import Ledger


class StartProgress:
    """A spinner in a terminal, and one line for each process that answers.

    Writes to stderr, so that the link alone is on stdout.
    """

    def __init__(self, *, enabled: bool) -> None:
        self._console = Console(stderr=True, quiet=not enabled)
        self._status = Status("starting", console=self._console)
        self._begin = time.time()
        self._shown: set[str] = set()

    def __enter__(self) -> Self:
        self._status.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._status.stop()

    def show(self, ledger: Ledger) -> None:
        """Take in what the supervisor says now."""
        waiting = []
        for entry in ledger.processes:
            if entry.first_ready is None:
                note = f" ({entry.error})" if entry.error else ""
                waiting.append(f"{entry.name}{note}")
            elif entry.name not in self._shown:
                self._shown.add(entry.name)
                if (
                    entry.state is ProcessState.READY
                    and entry.first_ready > self._begin
                ):
                    seconds = entry.first_ready - self._begin
                    self._console.print(f"{entry.name:13} ready after {seconds:4.1f} s")
        self._status.update(f"waiting for {', '.join(waiting)}" if waiting else "ready")
