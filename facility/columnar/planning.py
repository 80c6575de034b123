"""From the metadata of files to chunks: no bytes of events are read here."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from facility.columnar.formats.base import FileIdentity

CHUNK_EVENTS = 500_000
"""Default size: at 100,000 events the rate is half, beyond it memory only grows."""


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """What planning must know about a file."""

    identity: FileIdentity
    tree: str
    entries: int
    boundaries: tuple[int, ...]
    """Entries at which clusters begin, ascending, with 0 and ``entries``."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A range of entries of one file: what one task computes."""

    index: int
    """Position in the reduction, from 0."""
    file: FileIdentity
    tree: str
    start: int
    stop: int

    @property
    def events(self) -> int:
        return self.stop - self.start

    def __str__(self) -> str:
        """Name the range as in an error message."""
        return f"entries {self.start}..{self.stop} of {self.file.path}"


def plan(files: Iterable[PlannedFile], size: int = CHUNK_EVENTS) -> tuple[Chunk, ...]:
    """Cut files into chunks of about ``size`` entries.

    Every entry of every file is in exactly one chunk; chunks are in the order of
    files and entries, none is empty or larger than 1.5 ``size``; a chunk ends at a
    cluster boundary wherever there is one between 0.5 and 1.5 ``size`` from its start.
    """
    if size < 1:
        raise ValueError(f"chunk size must be at least 1, got {size}")
    chunks: list[Chunk] = []
    for file in files:
        start = 0
        while start < file.entries:
            stop = _end(start, size, file.boundaries, file.entries)
            chunks.append(Chunk(len(chunks), file.identity, file.tree, start, stop))
            start = stop
    return tuple(chunks)


def _end(start: int, size: int, boundaries: Sequence[int], entries: int) -> int:
    """Return the boundary nearest to ``start + size``, or that itself."""
    wanted = start + size
    low = bisect_left(boundaries, start + max(1, size // 2))
    high = bisect_right(boundaries, start + size + size // 2)
    near = boundaries[low:high]
    if near:
        return min(min(near, key=lambda b: abs(b - wanted)), entries)
    return min(wanted, entries)
