"""A few events computed here and now, to know what many will take."""

from __future__ import annotations

import time
import tracemalloc
from bisect import bisect_right
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from facility.columnar.backends import why_no_cuda
from facility.columnar.computing import Task, compute
from facility.columnar.estimating import (
    WORKERS,
    Estimate,
    Measured,
    Option,
    cost_of,
    options,
)
from facility.columnar.planning import Chunk, PlannedFile
from facility.errors import FacilityError

WARMING_EVENTS = 2_000
"""Compile and open first: later chunks need not."""

BUDGET_S = 0.6
"""What the timed chunks may take together, if clusters are not larger than that."""


TRIES = 3
"""Of each timed chunk, while it is short."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What was measured."""

    small: Measured
    large: Measured | None
    first_s: float
    """What the first chunk took beyond what it would take again."""
    memory_per_event: float
    """Bytes at the peak, of what Python's allocators gave."""

    @property
    def largest(self) -> Measured:
        return self.large or self.small


def estimate(
    task: Task,
    chunks: Sequence[Chunk],
    file: PlannedFile,
    branches: tuple[str, ...],
    bytes_per_event: float,
    workers: Sequence[int] = WORKERS,
) -> Estimate:
    """Return what all chunks are expected to take, on workers, and on a GPU if any.

    Args:
        task: what is done with them.
        chunks: at least one.
        file: of the first one.
        branches: that are read.
        bytes_per_event: of these, uncompressed: memory is no less.
        workers: numbers of them to make an estimate for.

    Raises:
        FacilityError: whatever computing the first chunk raises.
    """
    events = [chunk.events for chunk in chunks]

    def ways(found: Probe, numbers: Sequence[int], what: str) -> tuple[Option, ...]:
        memory = max(found.memory_per_event, bytes_per_event)
        cost = cost_of(found.small, found.large)
        return options(events, cost, memory, numbers, what)

    on_cpu = probe(replace(task, backend="cpu"), chunks[0], file)
    there = ways(on_cpu, workers, "worker")
    if not why_no_cuda("numba_cuda"):
        with suppress(FacilityError):  # not every analysis with arrays knows it
            on_gpu = probe(replace(task, backend="cuda"), chunks[0], file)
            if on_gpu.largest.backend == "cuda":
                there += ways(on_gpu, (1,), "GPU")
    measured = on_cpu.largest
    return Estimate(
        sum(events),
        len(chunks),
        branches,
        int(measured.bytes_read / measured.events * sum(events)),
        on_cpu.first_s,
        there,
    )


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
    """Return the quickest of a few: what else a machine does only makes it slower."""
    best: Measured | None = None
    spent = 0.0
    for _ in range(TRIES):
        (report,) = compute(task, chunk).reports
        spent += report.seconds
        if best is None or report.seconds < best.seconds:
            best = Measured(
                chunk.events, report.seconds, report.bytes_read, report.backend
            )
        if spent > BUDGET_S / TRIES / 2:
            break
    assert best is not None
    return best


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
