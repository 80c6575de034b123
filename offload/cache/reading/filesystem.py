"""An image as a read-only file system: what is read is fetched, and noted in a trace.

The digest in the image's name says what it holds for ever, so the kernel may keep all
that it was told once.
"""
# The kernel says more with each question than an answer needs.
# ruff: noqa: ARG002

from __future__ import annotations

import ctypes
import errno
import os
import stat
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache, partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeVar

import mfusepy

from offload.cache.cvmfs.names import ObjectName, Suffix
from offload.cache.cvmfs.rows import Chunk, Row
from offload.cache.errors import CacheError
from offload.cache.reading.ahead import Ahead
from offload.cache.reading.asking import done_while_asked
from offload.cache.reading.bundles import Use
from offload.cache.reading.fetching import Fetcher
from offload.cache.reading.pieces import Pieces
from offload.cache.reading.traces import Trace
from offload.cache.reading.view import View
from offload.snapshot.tree import Kind

Result = TypeVar("Result")

_TYPES = {
    Kind.FOLDER: stat.S_IFDIR,
    Kind.FILE: stat.S_IFREG,
    Kind.LINK: stat.S_IFLNK,
}
_FOLDERS = 4096
"""Whose listings are kept: a look-up costs a query for the first name of a folder only,
also of the many that an import tries and that are not there."""
_READDIRPLUS_AUTO = 1 << 14
"""FUSE_CAP_READDIRPLUS_AUTO of libfuse's fuse_common.h."""
_FILL_DIR_PLUS = 1 << 1
"""FUSE_FILL_DIR_PLUS of libfuse's fuse.h."""
_SAVE_EVERY = 200
"""Objects after which the trace is written: who is killed loses the last ones."""


class ImageFilesystem(mfusepy.Operations):
    """Operations as the kernel asks for them, in threads.

    Args:
        view: of the revision that has the image.
        top: where the image lies in it.
        root: what the revision says of it.
        fetcher: gets what is read.
        trace: notes it.
        trace_path: where the trace is kept.
        ahead: has some of what is read, or soon.
        mounted: called once the kernel asks.
    """

    use_ns = True

    def __init__(
        self,
        view: View,
        top: bytes,
        root: Row,
        fetcher: Fetcher,
        trace: Trace,
        trace_path: Path,
        ahead: Ahead,
        mounted: Callable[[], object],
    ) -> None:
        self._view = view
        self._top = top
        self._root = root
        self._trace = trace
        self._trace_path = trace_path
        self._saved = len(trace)
        self._ahead = ahead
        self._mounted = mounted
        self.problem = ""
        """Why something could not be read, the first time; empty if all could."""
        self._pieces = Pieces(fetcher, _done)
        self._folder = lru_cache(_FOLDERS)(self._listed)

    def init_with_config(self, connection: Any, config: Any) -> None:
        # All that a folder holds is told at once, not only its first entries: what the
        # kernel knows it need not ask for, name by name.
        connection.want &= ~_READDIRPLUS_AUTO
        self._mounted()

    def destroy(self, path: str) -> None:
        self._save()

    def getattr(self, path: str, fh: int | None = None) -> Row:
        return self._row(path)

    def readdir(self, path: str, fh: int) -> Iterable[Row]:
        return self._folder(self._path(path)).values()

    def readlink(self, path: str) -> str:
        row = self._row(path)
        if row.kind is not Kind.LINK:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return os.fsdecode(row.target)

    def open(self, path: str, flags: int) -> int:
        # The kernel does not ask again, for any file: half of all questions are saved.
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        row = self._row(path)
        if row.digest is not None:
            return self._part(row, 0, size, offset)
        pieces = []
        end = min(offset + size, row.size)
        while offset < end:
            index = bisect_right(row.chunks, offset, key=_offset) - 1
            start, length, _ = row.chunks[index]
            wanted = min(end, start + length) - offset
            pieces.append(self._part(row, index, wanted, offset - start))
            offset += wanted
        return b"".join(pieces)

    def statfs(self, path: str) -> dict[str, int]:
        return {"f_bsize": 4096, "f_frsize": 4096, "f_namemax": 255}

    def _row(self, path: str) -> Row:
        place = self._path(path)
        if place == self._top:
            return self._root
        folder, _, name = place.rpartition(b"/")
        row = self._folder(folder).get(name)
        if row is None:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
        return row

    def _listed(self, path: bytes) -> dict[bytes, Row]:
        with self._as_system_errors():
            rows = _done(partial(self._view.listing, path))
            return {row.name: row for row in rows}

    def _path(self, path: str) -> bytes:
        return self._top + os.fsencode(path).rstrip(b"/")

    def _part(self, row: Row, index: int, size: int, offset: int) -> bytes:
        """Return bytes of a file's object of that number."""
        if row.chunks:
            _, whole, digest = row.chunks[index]
            use = Use(ObjectName(digest, Suffix.CHUNK), 0o444, 0)
        else:
            assert row.digest is not None
            whole = row.size
            use = Use(ObjectName(row.digest), row.mode, row.mtime)
        self._note(use, whole)
        if (data := self._ahead.read(use.name, offset, size, _done)) is not None:
            return data
        with self._as_system_errors():
            return self._pieces.read(row, index, use.name, size, offset)

    @contextmanager
    def _as_system_errors(self) -> Iterator[None]:
        """Tell what went wrong in the only way that a file system has: a number."""
        try:
            yield
        except (CacheError, FileNotFoundError) as error:
            self.problem = self.problem or str(error)
            raise OSError(errno.EIO, str(error)) from None

    def _note(self, use: Use, size: int) -> None:
        self._trace.note(use, size)
        if len(self._trace) >= self._saved + _SAVE_EVERY:
            self._saved = len(self._trace)
            self._save()

    def _save(self) -> None:
        with suppress(OSError):  # a full disk: the job reads on
            self._trace.save(self._trace_path)


def _done(work: Callable[[], Result]) -> Result:
    """Return what may have to be fetched, as long as who reads is there."""
    _, _, reader = mfusepy.fuse_get_context()
    return done_while_asked(work, reader)


class Mounted(mfusepy.FUSE):
    """Answers straight from rows: it is asked thousands of times while a job starts.

    Of a folder's entries the kernel is told all that it would ask of each of them.
    """

    def fgetattr(self, path: bytes, buf: Any, fip: Any) -> int:
        ctypes.memset(buf, 0, _STATUS_BYTES)
        _tell(buf.contents, self.operations.getattr(os.fsdecode(path)))
        return 0

    def readdir_fuse_3(
        self, path: bytes, buf: Any, filler: Any, offset: int, fip: Any, flags: int
    ) -> int:
        # The library passes on what it is told of an entry only with where to go on.
        found = mfusepy.c_stat()
        rows = chain(_DOTS, self.operations.readdir(os.fsdecode(path), 0))
        for place, row in enumerate(islice(rows, offset, None), offset + 1):
            _tell(found, row)
            known = _FILL_DIR_PLUS if place > len(_DOTS) else 0
            if filler(buf, row.name, found, place, known):
                break  # the kernel asks for the rest
        return 0


_DOTS = tuple(Row(name, Kind.FOLDER, 0o755, 0, 0) for name in (b".", b".."))
_STATUS_BYTES = ctypes.sizeof(mfusepy.c_stat)
_OWNER = os.getuid(), os.getgid()


def _tell(status: Any, row: Row) -> None:
    """Say what an entry is like, in a ``struct stat``."""
    status.st_mode = _TYPES[row.kind] | row.mode
    status.st_nlink = 2 if row.kind is Kind.FOLDER else 1
    status.st_size = len(row.target) if row.kind is Kind.LINK else row.size
    status.st_blocks = (row.size + 511) // 512
    status.st_uid, status.st_gid = _OWNER
    status.st_atimespec.tv_sec = row.mtime
    status.st_mtimespec.tv_sec = row.mtime
    status.st_ctimespec.tv_sec = row.mtime


def _offset(chunk: Chunk) -> int:
    return chunk.offset
