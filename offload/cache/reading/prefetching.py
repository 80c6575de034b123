"""Fetches an image's bundle and takes it apart, once for all jobs on the disk."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from offload.cache.cvmfs.errors import DamagedObjectError
from offload.cache.cvmfs.names import ObjectName
from offload.cache.cvmfs.rows import Row
from offload.cache.reading.bundles import Use, unpack
from offload.cache.reading.errors import AbsentError, UnreachableError
from offload.cache.reading.fetching import Fetcher, content_of
from offload.cache.reading.locking import Locks
from offload.cache.reading.store import Store

_UNPACKERS = min(4, len(os.sched_getaffinity(0)))
"""Threads: decompression and hashing release the lock."""


class Arrivals:
    """What a bundle is bringing: who wants some of it waits for that, and no longer."""

    def __init__(self) -> None:
        self._begun = threading.Event()
        self._changed = threading.Condition()
        self._pending: set[ObjectName] = set()

    def expect(self, names: Iterable[ObjectName]) -> None:
        """Say what will come."""
        self._pending.update(names)
        self._begun.set()

    def arrived(self, name: ObjectName) -> None:
        """Say that something is here."""
        with self._changed:
            self._pending.discard(name)
            self._changed.notify_all()

    def finish(self) -> None:
        """Say that nothing more will come."""
        with self._changed:
            self._pending.clear()
            self._begun.set()
            self._changed.notify_all()

    def wait_for(self, names: Iterable[ObjectName]) -> None:
        """Wait for what is known to come of these."""
        self._begun.wait()
        wanted = frozenset(names)
        with self._changed:
            self._changed.wait_for(lambda: self._pending.isdisjoint(wanted))


class Prefetcher:
    """Bundles, each taken apart once; ``FOLDER/HEX`` says that it was."""

    def __init__(
        self, folder: Path, store: Store, fetcher: Fetcher, locks: Locks
    ) -> None:
        self._folder = folder
        self._store = store
        self._fetcher = fetcher
        self._locks = locks
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def prefetch(
        self, image: str, row: Row, connections: int, arrivals: Arrivals
    ) -> int:
        """Bring the objects of a bundle here; return how many were lacking.

        A bundle that cannot be had is no error: its objects come one by one.

        Args:
            image: whose bundle it is, a name for a file.
            row: of the bundle in the repository.
            connections: over which its parts come.
            arrivals: told of what comes.
        """
        done = self._folder / image
        if done.exists():
            return 0
        with self._locks.held(f"bundle {image}"):
            if done.exists():
                return 0
            try:
                found = list(unpack(self._fetcher.read(row, connections)))
                arrivals.expect(use.name for use, _ in found)
                count = self._take_apart(found, arrivals)
            except (UnreachableError, AbsentError, DamagedObjectError):
                return 0
            done.touch(mode=0o600)
            return count

    def _take_apart(
        self, found: Iterable[tuple[Use, memoryview]], arrivals: Arrivals
    ) -> int:
        def put(one: tuple[Use, memoryview]) -> bool:
            is_new = self._put(*one)
            arrivals.arrived(one[0].name)
            return is_new

        with ThreadPoolExecutor(_UNPACKERS, "unpack") as pool:
            return sum(pool.map(put, found))

    def _put(self, use: Use, data: memoryview) -> bool:
        key = str(use.name)
        if self._store.content(key) is not None:
            return False
        content = content_of(use.name, data, None)
        self._fetcher.add(key, content, use.mode, use.mtime)
        return True
