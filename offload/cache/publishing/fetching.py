"""Fetches blobs of an image side by side, and tells how many bytes have come."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from offload.cache.publishing.sources import Source
from offload.snapshot.model import Blob
from offload.snapshot.store.local import LocalStore

_FETCHES = 4
_REPORT_S = 0.2
"""Between two notes of how many bytes have come."""


def fetch_blobs(
    source: Source,
    repository: str,
    blobs: Sequence[Blob],
    store: LocalStore,
    tell: Callable[[int], None],
) -> None:
    """Put blobs into the store, verified; those that are there stay.

    Args:
        source: has them.
        repository: of the source.
        blobs: what is wanted.
        store: where to.
        tell: told at the start, and now and then, how many bytes are here.

    Raises:
        FacilityError: one cannot be had; the others may have come.
    """
    meter = _Meter(tell)
    meter.tell()

    def fetch(blob: Blob) -> None:
        source.fetch(repository, blob, store, meter.add)

    with ThreadPoolExecutor(_FETCHES, "fetch") as pool:
        futures = [pool.submit(fetch, blob) for blob in blobs]
        try:
            for future in futures:
                future.result()
        finally:
            for future in futures:
                future.cancel()


class _Meter:
    def __init__(self, tell: Callable[[int], None]) -> None:
        self._tell = tell
        self._done = 0
        self._told_at = 0.0
        self._lock = threading.Lock()

    def add(self, size: int) -> None:
        with self._lock:
            self._done += size
            if time.monotonic() - self._told_at >= _REPORT_S:
                self.tell()

    def tell(self) -> None:
        self._told_at = time.monotonic()
        self._tell(self._done)
