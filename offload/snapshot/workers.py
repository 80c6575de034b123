"""Threads that make layers; hashing, compressing and reading run beside each other."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import Generic, Self, TypeVar

_MOST = 8
"""Each takes some 10 MB of memory."""
_REPORT_EVERY_S = 0.1

T = TypeVar("T")


class Workers(Generic[T]):
    """Runs jobs; when one fails, or the caller does, all others end soon.

    Args:
        report: called in the caller's thread a few times per second while it waits.
    """

    def __init__(self, report: Callable[[], None]) -> None:
        self._report = report
        self._pool = ThreadPoolExecutor(
            min(_MOST, len(os.sched_getaffinity(0))), thread_name_prefix="freeze"
        )
        self._jobs: list[Future[T]] = []
        self._stopped = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped = True
        self._pool.shutdown(cancel_futures=True)

    def submit(self, job: Callable[[], T]) -> Future[T]:
        """Let a job run; it should look at :meth:`is_stopped` now and then."""
        future = self._pool.submit(job)
        self._jobs.append(future)
        return future

    def is_stopped(self) -> bool:
        """Whether what jobs make is not wanted any more."""
        return self._stopped

    def wait(self) -> None:
        """Wait for all jobs; raise the error of the first that fails."""
        waiting: set[Future[T]] = set(self._jobs)
        while waiting:
            done, waiting = wait(waiting, _REPORT_EVERY_S, FIRST_EXCEPTION)
            for job in done:
                job.result()
            self._report()
