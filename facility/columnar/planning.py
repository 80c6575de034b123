"""From the metadata of files to chunks: no bytes of events are read here."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any

from facility.columnar.formats.base import FileIdentity
from facility.errors import UsageError

CHUNK_EVENTS = 500_000
"""Default size: at 100,000 events the rate is half."""

LIGHT_EVENTS = 1_000_000
LIGHT_BYTES = 16 * 1024 * 1024
"""Default size where columns are light: up to so many events, as long as they are no
more bytes. What a chunk costs beside its bytes is half then: of one column of four
bytes, that is a tenth of everything."""


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """What planning must know about a file."""

    identity: FileIdentity
    tree: str
    entries: int
    boundaries: tuple[int, ...]
    """Entries at which clusters begin, ascending, with 0 and ``entries``."""
    unreadable: str = ""
    """Why it cannot be opened, in one line; it has no entries then."""


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


CHUNK_BYTES = 256 * 1024 * 1024
"""Default bound on the memory of what one chunk reads."""


def require_size(name: str, given: Any) -> int:
    """Return a size that a person gave as an integer: ``1e6`` is one, too.

    Raises:
        UsageError: it is no whole number, or less than one.
    """
    try:
        size = int(given)
        is_whole = size == given and size >= 1 and not isinstance(given, bool)
    except (TypeError, ValueError, OverflowError):
        is_whole = False
    if not is_whole:
        raise UsageError(f"{name}={given!r}: expected a whole number, at least 1")
    return size


def chunk_size(events: int | None, memory_bytes: int, bytes_per_event: float) -> int:
    """Return how many events a chunk has: ``events``, or as many as memory holds.

    Args:
        events: wanted, at least 1; the default if none.
        memory_bytes: for what one chunk reads, uncompressed; chunks may be 1.5 times
            as large as their size, and none is.
        bytes_per_event: of the columns that are read; 0 if nobody knows.

    Raises:
        ValueError: fewer than one event, or no memory.
    """
    if events is None:
        light = int(LIGHT_BYTES / bytes_per_event) if bytes_per_event > 0 else 0
        events = max(CHUNK_EVENTS, min(light, LIGHT_EVENTS))
    if events < 1:
        raise ValueError(f"chunk size must be at least 1, got {events}")
    if memory_bytes < 1:
        raise ValueError(f"memory of a chunk must be at least 1, got {memory_bytes}")
    if bytes_per_event <= 0:
        return events
    return max(1, min(events, int(memory_bytes / 1.5 / bytes_per_event)))


def evenly(size: int, entries: int) -> int:
    """Return the size, or less, at which chunks are even in number and equal.

    Two cores then have the same to do: of five chunks, one has three and the other
    waits. A file of one chunk stays whole.
    """
    if entries <= size:
        return size
    pairs = -(-entries // (2 * size))
    return -(-entries // (2 * pairs))


def plan(
    files: Iterable[PlannedFile], sizes: int | Sequence[int] = CHUNK_EVENTS
) -> tuple[Chunk, ...]:
    """Cut files into chunks of about ``sizes`` entries: of each file, or of all.

    Every entry of every file is in exactly one chunk; chunks are in the order of
    files and entries, none is empty or larger than 1.5 times the size; a chunk ends at
    a cluster boundary wherever there is one between 0.5 and 1.5 sizes from its start.
    Only of a file that cannot be opened the one chunk is empty: it will be missed.
    """
    chunks: list[Chunk] = []
    for file, size in zip(
        files, repeat(sizes) if isinstance(sizes, int) else sizes, strict=False
    ):
        if size < 1:
            raise ValueError(f"chunk size must be at least 1, got {size}")
        if file.unreadable:
            chunks.append(Chunk(len(chunks), file.identity, file.tree, 0, 0))
        start = 0
        while start < file.entries:
            stop = _end(start, size, file.boundaries, file.entries)
            chunks.append(Chunk(len(chunks), file.identity, file.tree, start, stop))
            start = stop
    return tuple(chunks)


def _end(start: int, size: int, boundaries: Sequence[int], entries: int) -> int:
    """Return the boundary nearest to a multiple of the size, or that itself.

    Not to ``start + size``: what all chunks are too long by, the last one would lack.
    """
    wanted = ((start + size // 2) // size + 1) * size
    low = bisect_left(boundaries, start + max(1, size // 2))
    high = bisect_right(boundaries, start + size + size // 2)
    near = boundaries[low:high]
    if near:
        return min(min(near, key=lambda b: abs(b - wanted)), entries)
    return min(wanted, entries)
