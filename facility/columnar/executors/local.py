"""Chunks in this process: one after the other, or in threads."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

from facility.columnar.computing import Analysis, Partial, compute
from facility.columnar.planning import Chunk


class Serial:
    """One chunk after the other: what a debugger wants."""

    name = "serial"

    def partials(
        self, analysis: Analysis, chunks: Sequence[Chunk]
    ) -> Iterator[Partial]:
        for chunk in chunks:
            yield compute(analysis, chunk)


class Threads:
    """As many chunks at once as there are cores for this process."""

    name = "threads"

    def __init__(self, count: int | None = None) -> None:
        self._count = count or len(os.sched_getaffinity(0))

    def partials(
        self, analysis: Analysis, chunks: Sequence[Chunk]
    ) -> Iterator[Partial]:
        pool = ThreadPoolExecutor(self._count, thread_name_prefix="chunk")
        try:
            futures = [pool.submit(compute, analysis, chunk) for chunk in chunks]
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)
