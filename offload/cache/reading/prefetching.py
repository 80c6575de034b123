"""Fetches an image's bundle and takes it apart, once for all jobs on the disk."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from offload.cache.cvmfs.errors import DamagedObjectError
from offload.cache.cvmfs.rows import Row
from offload.cache.reading.bundles import Use, unpack
from offload.cache.reading.errors import AbsentError, UnreachableError
from offload.cache.reading.fetching import Fetcher, content_of
from offload.cache.reading.locking import Locks
from offload.cache.reading.store import Store

_UNPACKERS = 4
"""Threads: decompression and hashing release the lock."""


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

    def prefetch(self, image: str, row: Row, connections: int) -> int:
        """Bring the objects of a bundle here; return how many were lacking.

        A bundle that cannot be had is no error: its objects come one by one.

        Args:
            image: whose bundle it is, a name for a file.
            row: of the bundle in the repository.
            connections: over which its parts come.
        """
        done = self._folder / image
        if done.exists():
            return 0
        with self._locks.held(f"bundle {image}"):
            if done.exists():
                return 0
            try:
                data = self._fetcher.read(row, connections)
                count = self._take_apart(unpack(data))
            except (UnreachableError, AbsentError, DamagedObjectError):
                return 0
            done.touch(mode=0o600)
            return count

    def _take_apart(self, found: Iterable[tuple[Use, memoryview]]) -> int:
        with ThreadPoolExecutor(_UNPACKERS, "unpack") as pool:
            return sum(pool.map(lambda one: self._put(*one), found))

    def _put(self, use: Use, data: memoryview) -> bool:
        key = str(use.name)
        if self._store.content(key) is not None:
            return False
        content = content_of(use.name, data, None)
        self._fetcher.add(key, content, use.mode, use.mtime)
        return True
