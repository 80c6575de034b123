"""Locks by name, for threads and processes alike; the kernel frees those of the dead."""

from __future__ import annotations

import fcntl
import hashlib
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# struct flock of 64-bit Linux: l_type, l_whence, l_start, l_len, l_pid.
_FLOCK = struct.Struct("@hhqqi4x")


class Locks:
    """Locks in one file: each name has a byte of its own, far beyond the file's end.

    Open file description locks (fcntl(2), F_OFD_SETLKW) hold between threads as well,
    and nothing is left behind: no file per name whose removal could race. Where a file
    system has none, work may be done twice, with the same result.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def held(self, name: str) -> Iterator[None]:
        """Wait for a name, hold it meanwhile; not for the same name within."""
        with self._opened() as handle:
            _lock(handle, fcntl.F_OFD_SETLKW, name)
            yield

    @contextmanager
    def tried(self, name: str) -> Iterator[bool]:
        """Hold a name if nobody else does; yields whether it is held."""
        with self._opened() as handle:
            try:
                _lock(handle, fcntl.F_OFD_SETLK, name)
            except (BlockingIOError, PermissionError):
                yield False
            else:
                yield True

    @contextmanager
    def _opened(self) -> Iterator[int]:
        # Closing the description is what frees the lock.
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            yield handle
        finally:
            os.close(handle)


def _lock(handle: int, command: int, name: str) -> None:
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    start = int.from_bytes(digest) >> 2
    fcntl.fcntl(handle, command, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, start, 1, 0))
