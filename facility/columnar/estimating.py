"""What a run will take: arithmetic on a probe of a few events; nothing is read here."""

from __future__ import annotations

import heapq
import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

WORKERS = (1, 2, 4, 8, 16, 32, 64, 128)
"""For so many an estimate is made, up to the number of chunks."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One chunk that was computed to see what it takes, everything warm."""

    events: int
    seconds: float
    bytes_read: int
    backend: str = "cpu"
    """What computed it."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a chunk takes on one worker: a part of its own, and one per event."""

    chunk_s: float
    event_s: float

    def seconds(self, events: int) -> float:
        return self.chunk_s + events * self.event_s


@dataclass(frozen=True, slots=True)
class Option:
    """What a run takes in one way of doing it."""

    what: str
    """``4 workers``, ``1 GPU``."""
    seconds: float
    memory_bytes: int
    """Of all workers together, besides what an idle one has."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What an analysis of a dataset is expected to take; shown as a table.

    Compression, lists and disks differ from place to place in a dataset: within a
    factor of two it is right.
    """

    events: int
    chunks: int
    branches: tuple[str, ...]
    """That are read; empty if it could not be asked."""
    bytes_read: int
    first_s: float
    """What the first chunk took beyond what it takes again, here: a kernel that was
    compiled is kept on disk, and runs do not pay for it again. Not in ``options``."""
    options: tuple[Option, ...]

    def __str__(self) -> str:
        lines = [self._title()]
        lines += [
            f"  {o.what:<12} {span(o.seconds):>8} {size(o.memory_bytes):>10}"
            for o in self.options
        ]
        return "\n".join(lines)

    def __rich__(self) -> Table:
        from rich.table import Table  # only who looks needs it

        table = Table("", "time", "memory", title=self._title(), title_justify="left")
        for option in self.options:
            table.add_row(option.what, span(option.seconds), size(option.memory_bytes))
        return table

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{html.escape(o.what)}</td><td>{span(o.seconds)}</td>"
            f"<td>{size(o.memory_bytes)}</td></tr>"
            for o in self.options
        )
        head = "<tr><th></th><th>time</th><th>memory</th></tr>"
        return f"<p>{html.escape(self._title())}</p><table>{head}{rows}</table>"

    def _title(self) -> str:
        once = f", {span(self.first_s)} once to compile" if self.first_s > 1 else ""
        return (
            f"{self.events:,} events, chunks: {self.chunks:,}, branches: "
            f"{len(self.branches) or '?'}, "
            f"{size(self.bytes_read)} to read{once}"
        )


def cost_of(small: Measured, large: Measured | None = None) -> Cost:
    """Return what chunks cost, from one measured chunk or two of different size.

    Two give a line through both, but neither a negative part of its own nor events
    for nothing: what is left then is in proportion to the events of the larger one.
    """
    if large is None or large.events <= small.events:
        return Cost(0, small.seconds / max(1, small.events))
    event_s = (large.seconds - small.seconds) / (large.events - small.events)
    chunk_s = small.seconds - event_s * small.events
    if event_s <= 0 or chunk_s < 0:
        return Cost(0, large.seconds / large.events)
    return Cost(chunk_s, event_s)


def makespan(seconds: Sequence[float], workers: int) -> float:
    """Return when the last of ``workers`` ends, if each takes the next chunk in order.

    Raises:
        ValueError: fewer than one worker.
    """
    if workers < 1:
        raise ValueError(f"expected at least 1 worker, got {workers}")
    ends = [0.0] * min(workers, max(1, len(seconds)))
    for one in seconds:
        heapq.heapreplace(ends, ends[0] + one)
    return max(ends)


def options(
    chunks: Sequence[int],
    cost: Cost,
    memory_per_event: float,
    workers: Sequence[int] = WORKERS,
    what: str = "worker",
) -> tuple[Option, ...]:
    """Return what a run takes for each number of workers that have something to do.

    Args:
        chunks: events of each, in order.
        cost: of a chunk on one worker.
        memory_per_event: bytes at the peak of a chunk, per event of it.
        workers: numbers of them; the first one is always there.
        what: they are called.
    """
    seconds = [cost.seconds(events) for events in chunks]
    largest = max(chunks, default=0)
    useful = [n for n in workers if n == workers[0] or n <= len(chunks)]
    return tuple(
        Option(
            f"{n} {what}{'s' if n > 1 else ''}",
            makespan(seconds, n),
            int(n * largest * memory_per_event),
        )
        for n in useful
    )


def span(seconds: float) -> str:
    """Return a time as people say it: ``0.4 s``, ``12 s``, ``3 min``, ``5.0 h``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def size(count: float) -> str:
    """Return bytes as people say them: ``12 kB``, ``3.4 GB``."""
    units = ("B", "kB", "MB", "GB", "TB")
    power = min(len(units) - 1, int(math.log10(max(count, 1)) / 3))
    value = count / 1000**power
    digits = 1 if power and value < 10 else 0
    return f"{value:.{digits}f} {units[power]}"
