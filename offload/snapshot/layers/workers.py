"""Threads that make layers; hashing, compressing and reading run beside each other."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import Self

from offload.snapshot.layers.packer import Packed, pack_layer
from offload.snapshot.layers.packing import Pack
from offload.snapshot.progress import Meter
from offload.snapshot.store.local import LocalStore

_MOST = 8
"""Each takes some 10 MB of memory."""
_REPORT_EVERY_S = 0.1


class Workers:
    """Makes layers; when one fails, or the caller does, all others end soon.

    Args:
        store: where to.
        meter: of what is done.
        report: called in the caller's thread a few times per second while it waits.
    """

    def __init__(
        self, store: LocalStore, meter: Meter, report: Callable[[], None]
    ) -> None:
        self._store = store
        self._meter = meter
        self._report = report
        self._pool = ThreadPoolExecutor(
            min(_MOST, len(os.sched_getaffinity(0))), thread_name_prefix="freeze"
        )
        self._stopped = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped = True
        self._pool.shutdown(cancel_futures=True)

    def run(self, packs: Sequence[Pack]) -> list[Packed]:
        """Make a layer of each; raise the error of the first that fails."""
        for pack in packs:
            self._meter.expect(pack.files, pack.size)
        # The largest first: none is left to the end while other cores are idle.
        by_size = sorted(range(len(packs)), key=lambda i: -packs[i].size)
        jobs = {i: self._pool.submit(self._pack, packs[i]) for i in by_size}
        self._wait(set(jobs.values()))
        return [jobs[i].result() for i in range(len(packs))]

    def _pack(self, pack: Pack) -> Packed:
        return pack_layer(self._store, pack, self._meter, lambda: self._stopped)

    def _wait(self, waiting: set[Future[Packed]]) -> None:
        while waiting:
            done, waiting = wait(waiting, _REPORT_EVERY_S, FIRST_EXCEPTION)
            for job in done:
                job.result()
            self._report()
