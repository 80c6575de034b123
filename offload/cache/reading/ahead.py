"""Unpacks a bundle ahead of a job that starts, part by part, as they come.

The parts stay files, compressed as they came; what they hold is unpacked into memory,
where the job finds it, and given up again once the start is over: the kernel has it by
then. Whenever a part is unpacked, its bytes are verified.
"""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from offload.cache.cvmfs.errors import DamagedObjectError
from offload.cache.cvmfs.names import ObjectName
from offload.cache.reading.asking import Doing, done
from offload.cache.reading.bundles import INDEX, RAW, Place, places, unpack
from offload.cache.reading.store import content_at

_AHEAD_BYTES = 48 << 20
"""Compressed bytes that are unpacked before anybody asks for them."""
_KEPT_S = 30.0
"""So often what is in memory is given up."""
_UNPACKERS = min(4, len(os.sched_getaffinity(0)))
"""Threads: decompression and hashing release the lock."""


class _Part:
    """One part: still on its way, here, in memory, or never to come."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_settled = threading.Event()
        self._path: Path | None = None
        self._is_raw = False
        self._data: bytes | None = None

    def settle(self, path: Path | None = None, *, is_raw: bool = False) -> None:
        """Say where it is; without, that it does not come. The first word counts."""
        with self._lock:
            if not self._is_settled.is_set():
                self._path, self._is_raw = path, is_raw
                self._is_settled.set()

    def content(self, do: Doing = done) -> bytes | None:
        """Return all that it holds, once it is here; None if it cannot be had."""
        if not self._is_settled.is_set():
            do(self._is_settled.wait)
        with self._lock:
            if self._data is None and self._path is not None:
                try:
                    data = content_at(os.fspath(self._path))
                    if data is not None and not self._is_raw:
                        data = unpack(data)
                    self._data = data
                except DamagedObjectError:
                    pass
                if self._data is None:
                    self._path = None
            return self._data

    def give_up(self) -> None:
        """Have it in memory no more."""
        with self._lock:
            self._data = None


class Ahead:
    """Contents of objects that a bundle has. Thread-safe.

    Whoever asks waits for what is on its way: for the index, then for the part.
    """

    def __init__(self) -> None:
        self._places: dict[ObjectName, Place] = {}
        self._is_open = threading.Event()
        self._is_closed = threading.Event()
        self._parts: defaultdict[int, _Part] = defaultdict(_Part)
        self._lock = threading.Lock()
        self._bytes = 0
        self._pool = ThreadPoolExecutor(_UNPACKERS, "unpack")
        threading.Thread(target=self._forget, daemon=True).start()

    def add(self, name: bytes, path: Path) -> None:
        """Take a file of the bundle, in any order, the index or a part.

        What does not come ahead, or damaged, is fetched when it is read.
        """
        if name == INDEX:
            data = content_at(os.fspath(path))
            if data is not None:
                try:
                    self._places = places(data)
                    self._is_open.set()
                except DamagedObjectError:
                    pass
        elif (number := name.removesuffix(RAW)).isdigit():
            part = self._part(int(number))
            part.settle(path, is_raw=number != name)
            with self._lock, suppress(OSError):
                self._bytes += path.stat().st_size
                if self._bytes <= _AHEAD_BYTES and not self._is_closed.is_set():
                    self._pool.submit(part.content)

    def end(self) -> None:
        """Say that no more will come."""
        self._is_open.set()
        for number in {place.part for place in self._places.values()}:
            self._part(number).settle()

    def close(self) -> None:
        """Unpack no more. What is asked for afterwards is not here."""
        self.end()
        with self._lock:
            self._is_closed.set()
        self._places = {}
        self._pool.shutdown(wait=True, cancel_futures=True)

    def read(
        self, name: ObjectName, offset: int, size: int, do: Doing = done
    ) -> bytes | None:
        """Return bytes of an object's content; None if the bundle has it not, whole.

        Args:
            name: of the object.
            offset: in its content.
            size: how many.
            do: waits for what is on its way.
        """
        if not self._is_open.is_set():
            do(self._is_open.wait)
        place = self._places.get(name)
        if place is None or (data := self._part(place.part).content(do)) is None:
            return None
        start, end = place.start + offset, place.start + place.size
        # What is cut is no part of that index: nobody is shown less than there is.
        return None if end > len(data) else data[start : min(start + size, end)]

    def _part(self, number: int) -> _Part:
        with self._lock:
            return self._parts[number]

    def _forget(self) -> None:
        while not self._is_closed.wait(_KEPT_S):
            with self._lock:
                parts = list(self._parts.values())
            for part in parts:
                part.give_up()
