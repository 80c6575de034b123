"""Objects from the repository into the store: each once, whoever and how many ask."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from offload.cache.cvmfs.names import ObjectName
from offload.cache.cvmfs.objects import content_of
from offload.cache.cvmfs.rows import Row
from offload.cache.errors import CacheError, NoSpaceError
from offload.cache.reading.locking import Locks
from offload.cache.reading.store import Content, Store

if TYPE_CHECKING:
    from offload.cache.reading.transfer import Transfer

_LARGEST = 256 << 20
"""Bytes of content of an object whose size nothing tells."""
_TRIES = 8
"""Times that a file is put together again when a part has been cleared away."""


class Fetcher:
    """Brings objects here. Of many that want one, one fetches and the others wait.

    Args:
        store: where they go.
        transfer: returns where they come from; asked only if one has to.
        locks: shared by all processes that use the store.
        make_room: called with a number of bytes when they do not fit.
    """

    def __init__(
        self,
        store: Store,
        transfer: Callable[[], Transfer],
        locks: Locks,
        make_room: Callable[[int], None],
    ) -> None:
        self._store = store
        self._transfer = transfer
        self._locks = locks
        self.make_room = make_room
        self.patience_s = 60.0
        """For so long an object is asked for while nobody answers: a job waits. After
        the first that has waited in vain, none does until somebody answers again."""
        self._helpers: list[Callable[[ObjectName, int, int], bytes | None]] = []
        self._lock = threading.Lock()
        self.added = 0
        """Bytes of content that this one has brought here."""

    def fetch(
        self,
        name: ObjectName,
        size: int | None = None,
        *,
        mode: int = 0o444,
        mtime: int = 0,
        patience_s: float | None = None,
    ) -> Path:
        """Return where an object's content lies, verified.

        Args:
            name: of the object.
            size: of its content, in bytes, if that is known.
            mode: of the file, if the object is to be stored now.
            mtime: likewise, Unix time in seconds.
            patience_s: how long to ask while nobody answers; as all do by default.

        Raises:
            UnreachableError: nobody answers.
            AbsentError: nobody has it.
            DamagedObjectError: nobody has it whole.
            NoSpaceError: it does not fit, and nothing may give way.
        """
        key = str(name)
        if found := self._store.find(key, size):
            return Path(found)
        asked = time.monotonic()
        with self._locks.held(key):
            if found := self._store.find(key, size):
                return Path(found)
            data = None if size is None else self._beside(name, size)
            if data is None:
                data = self._get(name, size, patience_s, asked)
            return Path(self._store.path(self.add(key, data, mode, mtime)))

    def read(self, name: ObjectName, size: int) -> bytes:
        """Return an object's content, verified, without storing it.

        Raises:
            Exception: as :meth:`fetch` does, but for want of space.
        """
        return self._get(name, size)

    @contextmanager
    def helped_by(
        self, read: Callable[[ObjectName, int, int], bytes | None]
    ) -> Iterator[None]:
        """Ask for nothing meanwhile that somebody here has already.

        Args:
            read: returns so many bytes of an object's content from an offset on,
                verified, or None.
        """
        self._helpers.append(read)
        try:
            yield
        finally:
            self._helpers.remove(read)

    def _beside(self, name: ObjectName, size: int) -> bytes | None:
        for read in tuple(self._helpers):
            if (data := read(name, 0, size)) is not None and len(data) == size:
                return data
        return None

    def add(self, key: str, data: bytes, mode: int, mtime: int) -> Content:
        """Store a content; make room if there is none."""
        return self._store_all(key, lambda: (data,), len(data), mode, mtime)

    def _store_all(
        self,
        key: str,
        pieces: Callable[[], Iterable[bytes]],
        size: int,
        mode: int,
        mtime: int,
    ) -> Content:
        content = self._in_room(
            size, lambda: self._store.add(key, pieces(), mode=mode, mtime=mtime)
        )
        with self._lock:
            self.added += size
        return content

    def _in_room(self, size: int, write: Callable[[], Content]) -> Content:
        try:
            return write()
        except NoSpaceError:
            self.make_room(size)
            return write()

    def content(self, row: Row, *, is_like: bool = True) -> Content:
        """Return the content of a file, stored with the file's time and mode.

        The mode is another one where the file's keeps its owner from reading it.

        Args:
            row: of the file.
            is_like: whether mode and time matter.

        Raises:
            Exception: as :meth:`fetch` does.
        """
        mode, mtime = row.mode & 0o777, row.mtime
        for _ in range(_TRIES):
            key = key_of(row)
            try:
                if self._store.find(key, row.size) is None:
                    self._bring(row, key)
                if content := self._store.content(key):
                    if not is_like:
                        return content
                    return self._in_room(
                        row.size, partial(self._store.variant, content, mode, mtime)
                    )
            except FileNotFoundError:
                continue  # cleared away, or found damaged, a moment ago
        raise NoSpaceError(
            f"{row.name!r}: what is fetched is cleared away at once; the cache's quota "
            "is too small for the jobs that use it"
        )

    def _bring(self, row: Row, key: str) -> None:
        mode, mtime = row.mode & 0o777, row.mtime
        if row.chunks:
            self._assemble(row, key)
        elif row.digest is not None:
            self.fetch(ObjectName(row.digest), row.size, mode=mode, mtime=mtime)
        else:
            self.add(key, b"", mode, mtime)

    def bring(
        self, rows: Iterable[Row], connections: int
    ) -> Iterator[tuple[Row, Path]]:
        """Yield files with where they lie, each as soon as it is here.

        Raises:
            Exception: as :meth:`fetch` does, after all that can be had.
        """
        problems: list[CacheError] = []
        with ThreadPoolExecutor(connections, "fetch") as pool:
            coming = {pool.submit(self.path, row): row for row in rows}
            for done in as_completed(coming):
                try:
                    yield coming[done], done.result()
                except CacheError as error:
                    problems.append(error)
        if problems:
            raise problems[0]

    def _assemble(self, row: Row, key: str) -> None:
        with self._locks.held(key):
            if self._store.find(key, row.size) is not None:
                return
            mode = row.mode & 0o777
            self._store_all(key, lambda: self._parts(row), row.size, mode, row.mtime)

    def _parts(self, row: Row) -> Iterator[bytes]:
        names = list(row.objects())
        last = {name: index for index, name in enumerate(names)}
        for index, (name, chunk) in enumerate(zip(names, row.chunks, strict=True)):
            try:
                yield self.fetch(name, chunk.size).read_bytes()
            except NoSpaceError:  # but perhaps for the whole file
                yield self.read(name, chunk.size)
            # Not two of each on the disk: the whole file serves who reads a part, too.
            if last[name] == index:
                self._store.remove(str(name))

    def path(self, row: Row) -> Path:
        """Return where the content of a file lies, whatever its mode and time.

        Raises:
            Exception: as :meth:`fetch` does.
        """
        return Path(self._store.path(self.content(row, is_like=False)))

    def whole(self, row: Row) -> Path | None:
        """Return where a file lies that is here in one piece already."""
        found = self._store.find(key_of(row), row.size)
        return None if found is None else Path(found)

    def _get(
        self,
        name: ObjectName,
        size: int | None,
        patience_s: float | None = None,
        asked: float | None = None,
    ) -> bytes:
        return self._transfer().get(
            name.path,
            lambda body: content_of(name, body, size),
            most=(_LARGEST if size is None else size + (size >> 8) + 1024),
            patience_s=self.patience_s if patience_s is None else patience_s,
            asked=asked,  # who waited for another who waited need not do it again
        )


def key_of(row: Row) -> str:
    """Return the store's name for a file in one piece.

    Of a file in chunks no object has the name: it is made of theirs.
    """
    if row.chunks:
        digests = b"".join(chunk.digest for chunk in row.chunks)
        return hashlib.sha1(digests, usedforsecurity=False).hexdigest() + "A"
    if row.digest is not None:
        return str(ObjectName(row.digest))
    return "empty"
