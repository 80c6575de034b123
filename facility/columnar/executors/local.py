"""Chunks in this process: one after the other, or in threads."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from itertools import islice

from facility.columnar.computing import Partial, Task, compute
from facility.columnar.planning import Chunk


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


class Serial:
    """One chunk after the other: what a debugger wants."""

    name = "serial"

    def partials(self, task: Task, chunks: Sequence[Chunk]) -> Iterator[Partial]:
        for chunk in chunks:
            yield compute(task, chunk)


class Threads:
    """As many chunks at once as there are cores for this process."""

    name = "threads"

    def __init__(self, count: int | None = None) -> None:
        self._count = count or cores()

    def partials(self, task: Task, chunks: Sequence[Chunk]) -> Iterator[Partial]:
        pool = ThreadPoolExecutor(self._count, thread_name_prefix="chunk")
        # One chunk waits for each thread, and no result waits for the last chunk.
        left = iter(chunks)
        try:
            running = {
                pool.submit(compute, task, chunk)
                for chunk in islice(left, 2 * self._count)
            }
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for chunk in islice(left, len(done)):
                    running.add(pool.submit(compute, task, chunk))
                for future in done:
                    yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)
