"""Objects of files that jobs are reading: open, or in memory where nothing can be kept."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from offload.cache.cvmfs.names import ObjectName
from offload.cache.cvmfs.rows import Row
from offload.cache.errors import NoSpaceError
from offload.cache.reading.asking import Doing
from offload.cache.reading.fetching import Fetcher

_OPEN = 512
_LOOSE = 8
"""So many are in memory: of files in chunks, a chunk each."""


class Pieces:
    """What was read last, ready to be read on. Thread-safe.

    Args:
        fetcher: gets what is not here.
        do: what makes it get that.
    """

    def __init__(self, fetcher: Fetcher, do: Doing) -> None:
        self._fetcher = fetcher
        self._do = do
        self._open: OrderedDict[bytes, _Open] = OrderedDict()
        self._loose: OrderedDict[bytes, _Loose] = OrderedDict()
        self._lock = threading.Lock()

    def read(
        self, row: Row, index: int, name: ObjectName, size: int, offset: int
    ) -> bytes:
        """Return bytes of an object of a file, fetched if need be.

        What does not fit on the disk is read all the same, and not kept.

        Args:
            row: the file.
            index: which of its objects.
            name: that one's.
            size: how many bytes, of this object.
            offset: from where on, in it.

        Raises:
            CacheError: it cannot be had.
            FileNotFoundError: it was cleared away a moment ago.
        """
        with self._lock:
            found = _used(self._open, name) or _used(self._loose, name)
        if found is None:
            try:
                found = self._hold(self._open, name, self._opened(row, index, name))
            except NoSpaceError:
                whole = row.chunks[index].size if row.chunks else row.size
                loose = _Loose(self._do(partial(self._fetcher.read, name, whole)))
                found = self._hold(self._loose, name, loose, _LOOSE)
        return found.read(size, offset)

    def _opened(self, row: Row, index: int, name: ObjectName) -> _Open:
        offset, size = row.chunks[index][:2] if row.chunks else (0, row.size)
        if (whole := self._fetcher.whole(row)) is not None:
            return _Open(whole, offset)
        if row.chunks:
            return _Open(self._do(partial(self._fetcher.fetch, name, size)))
        return _Open(self._do(partial(self._fetcher.path, row)))

    def _hold(
        self,
        held: OrderedDict[bytes, _Piece],
        name: ObjectName,
        new: _Piece,
        most: int = _OPEN,
    ) -> _Piece:
        with self._lock:
            held[name.digest] = new
            while len(held) > most:
                held.popitem(last=False)  # closed once nobody reads it
        return new


class _Open:
    """An open file, closed with the last reference to it.

    Args:
        path: where it lies.
        offset: where the object begins there.
    """

    def __init__(self, path: Path, offset: int = 0) -> None:
        self._handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._offset = offset

    def read(self, size: int, offset: int) -> bytes:
        return os.pread(self._handle, size, self._offset + offset)

    def __del__(self) -> None:
        with suppress(AttributeError):
            os.close(self._handle)


class _Loose:
    """An object in memory, whole."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, size: int, offset: int) -> bytes:
        return self._data[offset : offset + size]


_Piece = TypeVar("_Piece", _Open, _Loose)


def _used(held: OrderedDict[bytes, _Piece], name: ObjectName) -> _Piece | None:
    if name.digest in held:
        held.move_to_end(name.digest)
    return held.get(name.digest)
