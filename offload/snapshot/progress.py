"""How far a freeze is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock


@dataclass(frozen=True, slots=True)
class Progress:
    """A moment of a freeze."""

    stage: str
    """``looking`` (what is there), ``reading`` (and packing), ``storing``, ``done``."""
    files: int = 0
    """Files that are dealt with."""
    files_total: int = 0
    """Zero while it is not known."""
    size: int = 0
    """Bytes that are dealt with."""
    size_total: int = 0
    """Zero while it is not known."""


Report = Callable[[Progress], None]
"""Takes progress: called in the thread that called, a few times per second."""


class Meter:
    """Counts what worker threads have done."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.files = 0
        self.size = 0
        self.files_total = 0
        self.size_total = 0

    def add(self, files: int, size: int) -> None:
        """Note files and bytes that are dealt with."""
        with self._lock:
            self.files += files
            self.size += size

    def expect(self, files: int, size: int) -> None:
        """Note files and bytes that are to be dealt with."""
        self.files_total += files
        self.size_total += size

    def now(self, stage: str) -> Progress:
        """Return the picture of this moment."""
        return Progress(stage, self.files, self.files_total, self.size, self.size_total)
