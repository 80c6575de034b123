"""A repository's objects and catalogues, from the disk or fetched; with little to load.

What serves a job's files is started with the job: until something has to be fetched,
nothing that fetches is loaded.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from offload.cache.reading.fetching import Fetcher
from offload.cache.reading.locking import Locks
from offload.cache.reading.paths import hex_of
from offload.cache.reading.store import Store
from offload.cache.reading.traces import Trace
from offload.cache.reading.view import Catalogues

if TYPE_CHECKING:
    from offload.cache.reading.transfer import Transfer


class Reader:
    """What a cache of a repository has on disk, and what brings the rest.

    Args:
        folder: of the cache of this repository; must exist.
        urls: see :class:`Transfer`.
        proxies: likewise.
        connections: likewise.
        make_room: called with a number of bytes when they do not fit.

    Raises:
        OSError: the folder cannot be used.
    """

    def __init__(
        self,
        folder: Path,
        urls: Sequence[str],
        proxies: Sequence[str],
        connections: int,
        make_room: Callable[[int], None],
    ) -> None:
        self._folder = folder
        self._reached_by = urls, proxies, connections
        self._transfer: Transfer | None = None
        self._lock = threading.Lock()
        self.store = Store(folder)
        self.locks = Locks(folder / "locks")
        self.fetcher = Fetcher(self.store, lambda: self.transfer, self.locks, make_room)
        self.catalogues = Catalogues(self.fetcher.fetch)

    @property
    def transfer(self) -> Transfer:
        """What asks for files of the repository; made when it is needed first."""
        with self._lock:
            if self._transfer is None:
                from offload.cache.reading.transfer import Transfer

                self._transfer = Transfer(*self._reached_by)
            return self._transfer

    def trace(self, image: str) -> Trace:
        """Return what jobs were seen to read of an image."""
        return Trace.load(self.trace_path(image))

    def trace_path(self, image: str) -> Path:
        """Return the file with an image's trace."""
        return self._folder / "traces" / hex_of(image)

    def close(self) -> None:
        """Close connections."""
        if self._transfer is not None:
            self._transfer.close()
