"""Fetches blobs of an image side by side; each can be read while it comes.

What is read is what is on the disk by then. Whether it is what was asked for is known
only when all of it has come: nothing that was made of it counts before
:meth:`Fetching.finish`.
"""

from __future__ import annotations

import io
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from facility.errors import FacilityError
from offload.cache.publishing.errors import PublishingError
from offload.cache.publishing.sources import Source, Watcher
from offload.snapshot.model import Blob
from offload.snapshot.store.local import LocalStore

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_FETCHES = 4
_REPORT_S = 0.2
"""Between two notes of how many bytes have come."""
_PIECE = 1 << 18


class _Arrival:
    """One blob on its way."""

    def __init__(self, blob: Blob) -> None:
        self.blob = blob
        self.size = 0
        """Bytes that are here."""
        self.handle: BinaryIO | None = None
        """What they are read from; the file's name changes when all are here."""
        self.is_read = False
        self.is_over = False
        self.error: Exception | None = None


class Fetching:
    """Blobs on their way into a store. Made by :func:`fetching`."""

    def __init__(
        self, blobs: Sequence[Blob], store: LocalStore, tell: Callable[[int], None]
    ) -> None:
        self._arrivals = {blob.digest: _Arrival(blob) for blob in blobs}
        self._store = store
        self._tell = tell
        self._told_at = 0.0
        self._changed = threading.Condition()
        self._is_given_up = False

    def open(self, blob: Blob) -> BinaryIO:
        """Open a blob, which need not be here yet: who reads it waits for its bytes.

        Reading raises PublishingError if it cannot be had.
        """
        return io.BufferedReader(_ArrivingFile(self, blob), _PIECE)

    def beyond(self, blob: Blob, position: int) -> tuple[BinaryIO, int]:
        """Wait for bytes from there on; return a file of them, and how many are here.

        Raises:
            PublishingError: they cannot be had.
        """
        arrival = self._arrivals[blob.digest]
        with self._changed:
            arrival.is_read = True
            while True:
                if isinstance(arrival.error, FacilityError):
                    # Whatever it was, it says nothing of what is in the blob.
                    raise PublishingError(str(arrival.error)) from arrival.error
                if arrival.error is not None:
                    raise arrival.error
                if arrival.handle is not None:
                    if arrival.is_over:
                        return arrival.handle, blob.size
                    if arrival.size > position:
                        return arrival.handle, arrival.size
                self._changed.wait()

    def finish(self) -> None:
        """Wait until all has come, verified.

        Raises:
            FacilityError, OSError: one cannot be had.
        """
        with self._changed:
            while not self._is_over():
                self._changed.wait()

    def fetch(self, source: Source, repository: str, blob: Blob) -> None:
        """Fetch one of the blobs."""
        arrival = self._arrivals[blob.digest]
        error: Exception | None = None
        try:
            source.fetch(repository, blob, self._store, _Watching(self, arrival))
            if arrival.handle is None:  # it was here before
                arrival.handle = self._store.open(blob.digest)
        except Exception as caught:  # noqa: BLE001 -- raised where it is waited for
            error = caught
        with self._changed:
            arrival.is_over, arrival.error = True, error
            self._changed.notify_all()

    def began(self, arrival: _Arrival, draft: Path) -> None:
        """Hear where the bytes of a blob come."""
        with self._changed:
            arrival.handle = draft.open("rb", buffering=0)

    def got(self, arrival: _Arrival, size: int) -> None:
        """Hear of bytes of a blob.

        Raises:
            PublishingError: they are not wanted any more.
        """
        with self._changed:
            if self._is_given_up or (size < 0 and arrival.is_read):
                raise PublishingError(
                    f"blob {arrival.blob.digest[:19]}: the line broke"
                )
            arrival.size += size
            self._changed.notify_all()
            done, now = self._done(), time.monotonic()
            is_told = now - self._told_at < _REPORT_S
            self._told_at = self._told_at if is_told else now
        if not is_told:
            self._tell(done)

    def give_up(self) -> None:
        """Let what is under way end in the middle, unless it is for a later attempt."""
        with self._changed:
            failed = [
                each for each in self._arrivals.values() if each.error is not None
            ]
            self._is_given_up = not failed

    def close(self) -> None:
        """Close what blobs were read from; nothing is under way any more."""
        for each in self._arrivals.values():
            if each.handle is not None:
                each.handle.close()

    def _done(self) -> int:
        return sum(each.size for each in self._arrivals.values())

    def _is_over(self) -> bool:
        """Whether all is here; raises if that cannot be any more."""
        for each in self._arrivals.values():
            if each.error is not None:
                raise each.error
        return all(each.is_over for each in self._arrivals.values())


@contextmanager
def fetching(
    source: Source,
    repository: str,
    blobs: Sequence[Blob],
    store: LocalStore,
    tell: Callable[[int], None],
) -> Iterator[Fetching]:
    """Have blobs fetched into the store, verified; those that are there stay.

    Args:
        source: has them.
        repository: of the source.
        blobs: what is wanted, each once.
        store: where to.
        tell: told at the start, and now and then, how many bytes are here.
    """
    tell(0)
    found = Fetching(blobs, store, tell)
    with closing(found), ThreadPoolExecutor(_FETCHES, "fetch") as pool:
        for blob in blobs:
            pool.submit(found.fetch, source, repository, blob)
        try:
            yield found
        finally:
            found.give_up()
            pool.shutdown(cancel_futures=True)


class _Watching(Watcher):
    """Tells of one blob."""

    def __init__(self, fetching: Fetching, arrival: _Arrival) -> None:
        self._fetching = fetching
        self._arrival = arrival

    def began(self, draft: Path) -> None:
        self._fetching.began(self._arrival, draft)

    def got(self, size: int) -> None:
        self._fetching.got(self._arrival, size)


class _ArrivingFile(io.RawIOBase):
    """Reads a blob from its start; waits where it has not come yet."""

    def __init__(self, fetching: Fetching, blob: Blob) -> None:
        self._fetching = fetching
        self._blob = blob
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        assert whence == io.SEEK_SET or offset == 0
        self._position = offset if whence == io.SEEK_SET else self._position
        return self._position

    def readinto(self, buffer: WriteableBuffer) -> int:
        handle, here = self._fetching.beyond(self._blob, self._position)
        view = memoryview(buffer).cast("B")[: here - self._position]
        size = os.preadv(handle.fileno(), [view], self._position)
        self._position += size
        return size
