"""A few events computed here and now, to know what many will take."""

from __future__ import annotations

import time
import tracemalloc
from bisect import bisect_right
from dataclasses import dataclass, replace

from facility.columnar.computing import Task, compute
from facility.columnar.estimating import Measured
from facility.columnar.planning import Chunk, PlannedFile

WARMING_EVENTS = 2_000
"""Compile and open first: later chunks need not."""

BUDGET_S = 0.6
"""What the timed chunks may take together, if clusters are not larger than that."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What was measured."""

    small: Measured
    large: Measured | None
    first_s: float
    """What the first chunk took beyond what it would take again."""
    memory_per_event: float
    """Bytes at the peak, of what Python's allocators gave."""


def probe(task: Task, chunk: Chunk, file: PlannedFile) -> Probe:
    """Measure parts of a chunk that begin and end at clusters.

    Raises:
        FacilityError: whatever computing the chunk raises.
    """
    few = replace(chunk, stop=min(chunk.stop, chunk.start + WARMING_EVENTS))
    began = time.perf_counter()
    compute(task, few)
    first_s = time.perf_counter() - began
    small = _part(chunk, file, 1)
    memory = _peak_bytes(task, small) / small.events
    measured = _measure(task, small)
    again = _measure(task, few) if few.events < small.events else measured
    left = BUDGET_S - measured.seconds
    events = int(measured.events * left / max(measured.seconds, 1e-6))
    large = _part(chunk, file, events)
    return Probe(
        measured,
        _measure(task, large) if large.events > measured.events else None,
        max(0.0, first_s - again.seconds),
        memory,
    )


def _part(chunk: Chunk, file: PlannedFile, events: int) -> Chunk:
    """Return the first clusters of a chunk with at least so many events, if it has."""
    edges = [b for b in file.boundaries if chunk.start < b < chunk.stop]
    at = bisect_right(edges, chunk.start + events - 1)
    return replace(chunk, stop=edges[at] if at < len(edges) else chunk.stop)


def _measure(task: Task, chunk: Chunk) -> Measured:
    (report,) = compute(task, chunk).reports
    return Measured(chunk.events, report.seconds, report.bytes_read)


def _peak_bytes(task: Task, chunk: Chunk) -> int:
    was_tracing = tracemalloc.is_tracing()
    if not was_tracing:
        tracemalloc.start()
    try:
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        compute(task, chunk)
        return max(0, tracemalloc.get_traced_memory()[1] - before)
    finally:
        if not was_tracing:
            tracemalloc.stop()
