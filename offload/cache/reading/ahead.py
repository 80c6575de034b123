"""Unpacks a bundle ahead of a job that starts, in the order of first use.

The bundle stays one file, compressed as it came; what it holds is unpacked into memory,
where the job finds it, and given up again once the start is over: the kernel has it by
then. Whenever an object is unpacked, it is verified by its name.
"""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from offload.cache.cvmfs.errors import DamagedObjectError
from offload.cache.cvmfs.names import ObjectName
from offload.cache.reading.bundles import places
from offload.cache.reading.fetching import content_of

_AHEAD_BYTES = 64 << 20
"""Compressed bytes that are unpacked before anybody asks for them."""
_KEPT_S = 30.0
"""So often what is in memory is given up."""
_UNPACKERS = min(4, len(os.sched_getaffinity(0)))
"""Threads: decompression and hashing release the lock."""


class _Place(NamedTuple):
    start: int
    size: int


class Ahead:
    """Contents of objects that a bundle has. Thread-safe."""

    def __init__(self) -> None:
        self._is_open = threading.Event()
        self._handle = -1
        self._places: dict[ObjectName, _Place] = {}
        self._contents: dict[ObjectName, Future[bytes | None]] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(_UNPACKERS, "unpack")

    def open(self, bundle: Path | None) -> None:
        """Begin with a bundle, or without one; whoever asks before waits for this.

        As much of the bundle is used as is one.
        """
        try:
            if bundle is not None:
                self._begin(bundle)
        except (OSError, DamagedObjectError):
            pass  # what does not come ahead is fetched when it is read
        finally:
            self._is_open.set()

    def close(self) -> None:
        """Unpack no more. What is asked for afterwards is not here."""
        self.open(None)
        with self._lock:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._places = {}
            if self._handle >= 0:
                os.close(self._handle)
                self._handle = -1

    def content(self, name: ObjectName) -> bytes | None:
        """Return an object's content; None if the bundle has it not, or damaged."""
        self._is_open.wait()
        place = self._places.get(name)
        if place is None:
            return None
        with self._lock:
            found = self._contents.get(name)
            # Whose turn has not come yet is unpacked here and now.
            is_mine = found is None or found.cancel()
            if found is None or is_mine:
                found = self._contents[name] = Future()
                found.set_running_or_notify_cancel()
        if is_mine:
            found.set_result(self._content(name, place))
        return found.result()

    def _begin(self, bundle: Path) -> None:
        data = bundle.read_bytes()
        self._handle = os.open(bundle, os.O_RDONLY | os.O_CLOEXEC)
        size = 0
        try:
            for use, *place in places(data):
                self._places[use.name] = _Place(*place)
                size += place[1]
                if size <= _AHEAD_BYTES:
                    self._contents[use.name] = self._pool.submit(
                        self._content, use.name, _Place(*place)
                    )
        finally:
            threading.Thread(target=self._forget, daemon=True).start()

    def _content(self, name: ObjectName, place: _Place) -> bytes | None:
        try:
            packed = os.pread(self._handle, place.size, place.start)
            return content_of(name, packed, None)
        except (OSError, DamagedObjectError):
            return None

    def _forget(self) -> None:
        while self._places:
            time.sleep(_KEPT_S)
            with self._lock:
                for name in [n for n, f in self._contents.items() if f.done()]:
                    del self._contents[name]
