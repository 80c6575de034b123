"""Where the bytes of baskets come from: a file here, or one at a URL."""

from __future__ import annotations

import os
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from facility.columnar.remote import RemoteFile


class Source(Protocol):
    """An open file, for one thread at a time."""

    name: str
    """For messages."""
    size_bytes: int
    bytes_read: int
    descriptor: int
    """That compiled code reads from by itself; -1 if bytes have to be fetched."""

    def fetch(self, ranges: Sequence[tuple[int, int]]) -> dict[int, int]:
        """Return at which addresses the ranges are, by their first byte.

        They are there until the next call.

        Raises:
            ReadError: they cannot be had.
        """

    def close(self) -> None: ...


class LocalSource:
    """A file of this machine: nothing is fetched, compiled code reads it."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.size_bytes = os.fstat(self.descriptor).st_size
        self.bytes_read = 0
        # Also when the interpreter ends, before modules are taken apart.
        self._closed = weakref.finalize(self, os.close, self.descriptor)

    def fetch(self, ranges: Sequence[tuple[int, int]]) -> dict[int, int]:  # noqa: ARG002
        return {}

    def close(self) -> None:
        self.descriptor = -1
        self._closed()


class RemoteBytes:
    """A file of a server: all that a chunk needs is asked for at once."""

    descriptor = -1

    def __init__(self, url: str) -> None:
        self._remote = RemoteFile(url)
        self.name = self._remote.url
        self.size_bytes = self._remote.info().size_bytes
        self.bytes_read = 0
        self._held: list[memoryview] = []

    def fetch(self, ranges: Sequence[tuple[int, int]]) -> dict[int, int]:
        self._held = self._remote.read(ranges)
        return {
            start: int(np.frombuffer(data, np.uint8).ctypes.data)
            for (start, _), data in zip(ranges, self._held, strict=True)
        }

    def close(self) -> None:
        self._held = []
