"""An image as a read-only file system: what is read is fetched, and noted in a trace.

The digest in the image's name says what it holds for ever, so the kernel may keep all
that it was told once.
"""
# The kernel says more with each question than an answer needs.
# ruff: noqa: ARG002

from __future__ import annotations

import errno
import itertools
import os
import stat
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import mfusepy

from offload.cache.cvmfs.rows import Row
from offload.cache.errors import CacheError
from offload.cache.reading.bundles import Use
from offload.cache.reading.fetching import Fetcher
from offload.cache.reading.traces import Trace
from offload.cache.reading.view import View
from offload.snapshot.tree import Kind

_TYPES = {
    Kind.FOLDER: stat.S_IFDIR,
    Kind.FILE: stat.S_IFREG,
    Kind.LINK: stat.S_IFLNK,
}
_SAVE_EVERY = 200
"""Objects after which the trace is written: who is killed loses the last ones."""


class _Opened(Protocol):
    def read(self, size: int, offset: int) -> bytes: ...

    def close(self) -> None: ...


class ImageFilesystem(mfusepy.Operations):
    """Operations as the kernel asks for them, in threads.

    Args:
        view: of the revision that has the image.
        top: where the image lies in it.
        fetcher: gets what is read.
        trace: notes it.
        trace_path: where the trace is kept.
        ready: waited for before a file is opened: what it brings need not be fetched.
        mounted: called once the kernel asks.
    """

    use_ns = True

    def __init__(
        self,
        view: View,
        top: bytes,
        fetcher: Fetcher,
        trace: Trace,
        trace_path: Path,
        ready: Callable[[], object],
        mounted: Callable[[], object],
    ) -> None:
        self._view = view
        self._top = top
        self._fetcher = fetcher
        self._trace = trace
        self._trace_path = trace_path
        self._saved = len(trace)
        self._ready = ready
        self._mounted = mounted
        self._files: dict[int, _Opened] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._find = lru_cache(1 << 14)(self._looked_up)
        self._owner = os.getuid(), os.getgid()

    def init(self, path: str) -> None:
        self._mounted()

    def destroy(self, path: str) -> None:
        self._trace.save(self._trace_path)

    def getattr(self, path: str, fh: int | None = None) -> dict[str, int]:
        row = self._row(path)
        time_ns = row.mtime * 1_000_000_000
        return {
            "st_mode": _TYPES[row.kind] | row.mode,
            "st_nlink": 2 if row.kind is Kind.FOLDER else 1,
            "st_size": len(row.target) if row.kind is Kind.LINK else row.size,
            "st_blocks": (row.size + 511) // 512,
            "st_uid": self._owner[0],
            "st_gid": self._owner[1],
            "st_atime": time_ns,
            "st_mtime": time_ns,
            "st_ctime": time_ns,
        }

    def readdir(self, path: str, fh: int) -> list[tuple[str, int, int]]:
        with _as_system_errors():
            rows = self._view.listing(self._path(path))
        names = [(os.fsdecode(row.name), _TYPES[row.kind], 0) for row in rows]
        return [(".", stat.S_IFDIR, 0), ("..", stat.S_IFDIR, 0), *names]

    def readlink(self, path: str) -> str:
        row = self._row(path)
        if row.kind is not Kind.LINK:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return os.fsdecode(row.target)

    def open(self, path: str, flags: int) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        row = self._row(path)
        self._ready()
        with _as_system_errors():
            opened: _Opened
            if row.chunks and self._fetcher.whole(row) is None:
                opened = _Chunked(row, self._chunk)
            else:
                opened = _Whole(Path(self._fetcher.path(row)))
                if row.digest is not None:
                    (name,) = row.objects()
                    self._note(Use(name, row.mode, row.mtime), row.size)
        with self._lock:
            number = next(self._numbers)
            self._files[number] = opened
        return number

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        with _as_system_errors():
            return self._files[fh].read(size, offset)

    def release(self, path: str, fh: int) -> int:
        with self._lock:
            self._files.pop(fh).close()
        return 0

    def statfs(self, path: str) -> dict[str, int]:
        return {"f_bsize": 4096, "f_frsize": 4096, "f_namemax": 255}

    def _row(self, path: str) -> Row:
        row = self._find(path)
        if row is None:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
        return row

    def _looked_up(self, path: str) -> Row | None:
        with _as_system_errors():
            return self._view.find(self._path(path))

    def _path(self, path: str) -> bytes:
        return self._top + os.fsencode(path).rstrip(b"/")

    def _chunk(self, row: Row, index: int) -> Path:
        name = tuple(row.objects())[index]
        size = row.chunks[index].size
        self._note(Use(name, 0o444, 0), size)
        return self._fetcher.fetch(name, size)

    def _note(self, use: Use, size: int) -> None:
        self._trace.note(use, size)
        if len(self._trace) >= self._saved + _SAVE_EVERY:
            self._saved = len(self._trace)
            self._trace.save(self._trace_path)


class _Whole:
    """A file that lies in the store in one piece."""

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def read(self, size: int, offset: int) -> bytes:
        return os.pread(self._handle, size, offset)

    def close(self) -> None:
        os.close(self._handle)


class _Chunked:
    """A large file, of which only the chunks that are read come here."""

    def __init__(self, row: Row, fetch: Callable[[Row, int], Path]) -> None:
        self._row = row
        self._fetch = fetch
        self._offsets = [chunk.offset for chunk in row.chunks]
        self._handles: dict[int, int] = {}
        self._lock = threading.Lock()

    def read(self, size: int, offset: int) -> bytes:
        pieces = []
        end = min(offset + size, self._row.size)
        while offset < end:
            index = bisect_right(self._offsets, offset) - 1
            start, length = self._row.chunks[index][:2]
            wanted = min(end, start + length) - offset
            pieces.append(os.pread(self._handle(index), wanted, offset - start))
            offset += wanted
        return b"".join(pieces)

    def close(self) -> None:
        for handle in self._handles.values():
            os.close(handle)

    def _handle(self, index: int) -> int:
        with self._lock:
            if index not in self._handles:
                path = self._fetch(self._row, index)
                self._handles[index] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            return self._handles[index]


@contextmanager
def _as_system_errors() -> Iterator[None]:
    """Tell what went wrong in the only way that a file system has: a number."""
    try:
        yield
    except (CacheError, FileNotFoundError) as error:
        raise OSError(errno.EIO, str(error)) from None
