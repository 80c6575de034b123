"""Which objects hold which content: what is known is not compressed a second time.

An index only: lost, or behind the truth, it costs time. It is not to be ahead of it, so
objects are on the disk before they are noted for good, and forgotten before they are
removed.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from offload.cache.cvmfs.errors import (
    DISK_IS_FULL,
    RepositoryBusyError,
    RepositoryError,
    is_busy,
    is_full,
)
from offload.cache.cvmfs.names import ObjectName
from offload.cache.errors import NoSpaceError

_DIGEST = 20

_SCHEMA = """
CREATE TABLE IF NOT EXISTS contents (
  sha256 BLOB, is_chunk INTEGER, objects BLOB NOT NULL,
  PRIMARY KEY (sha256, is_chunk)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS unused (
  object TEXT PRIMARY KEY, since REAL NOT NULL) WITHOUT ROWID;
"""


class Contents:
    """The index, in an SQLite file; may be asked from several threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._connection = self._open()
        except sqlite3.DatabaseError as error:
            if is_full(error):
                raise NoSpaceError(DISK_IS_FULL) from None
            if is_busy(error):
                raise RepositoryBusyError(f"{path}: others use it; try again") from None
            # No index is better than a damaged one.
            for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
                path.with_name(name).unlink(missing_ok=True)
            self._connection = self._open()
        self._lock = threading.Lock()
        self._fresh: dict[tuple[bytes, bool], tuple[bytes, ...]] = {}

    def close(self) -> None:
        self._connection.close()

    def get(self, sha256: bytes, *, is_chunk: bool = False) -> tuple[bytes, ...] | None:
        """Return the digests of the objects of a content, in order; None if not known.

        Args:
            sha256: of the content, 32 bytes.
            is_chunk: whether it is part of a file, rather than one.
        """
        with self._usable() as connection:
            if (fresh := self._fresh.get((sha256, is_chunk))) is not None:
                return fresh
            found = connection.execute(
                "SELECT objects FROM contents WHERE sha256 = ? AND is_chunk = ?",
                (sha256, is_chunk),
            ).fetchone()
        if found is None:
            return None
        return _split(found[0])

    def add(
        self, sha256: bytes, objects: tuple[bytes, ...], *, is_chunk: bool = False
    ) -> None:
        """Note objects that are there; for good with :meth:`save`."""
        with self._lock:
            self._fresh[sha256, is_chunk] = objects

    def save(self) -> None:
        """Keep what was added; its objects must be on the disk."""
        with self._alone() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO contents VALUES (?, ?, ?)",
                (
                    (sha256, is_chunk, b"".join(objects))
                    for (sha256, is_chunk), objects in self._fresh.items()
                ),
            )
            self._fresh.clear()

    def drop(self) -> None:
        """Forget what was added and not saved."""
        with self._lock:
            self._fresh.clear()

    def forget(self, objects: Iterable[ObjectName]) -> None:
        """Forget the contents that these objects hold; on disk when it returns."""
        gone = {name.digest for name in objects}
        if not gone:
            return
        with self._alone() as connection:
            known = connection.execute("SELECT sha256, is_chunk, objects FROM contents")
            lost = [
                (sha256, is_chunk)
                for sha256, is_chunk, joined in known
                if not gone.isdisjoint(_split(joined))
            ]
            connection.executemany(
                "DELETE FROM contents WHERE sha256 = ? AND is_chunk = ?", lost
            )

    def unused(self) -> dict[str, datetime]:
        """Return the objects that nothing named any more, and since when, by name."""
        with self._usable() as connection:
            found = connection.execute("SELECT object, since FROM unused").fetchall()
        return {name: datetime.fromtimestamp(since, UTC) for name, since in found}

    def set_unused(self, unused: Mapping[str, datetime]) -> None:
        """Note them in place of those that were noted; on disk when it returns."""
        with self._alone() as connection:
            connection.execute("DELETE FROM unused")
            connection.executemany(
                "INSERT INTO unused VALUES (?, ?)",
                ((name, since.timestamp()) for name, since in unused.items()),
            )

    def _open(self) -> sqlite3.Connection:
        self._path.touch(mode=0o600)
        connection = sqlite3.connect(self._path, check_same_thread=False, timeout=30)
        try:
            connection.executescript(
                f"PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; {_SCHEMA}"
            )
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    @contextmanager
    def _alone(self) -> Iterator[sqlite3.Connection]:
        """One thread at a time; what is done becomes lasting together."""
        with self._usable() as connection, connection:
            yield connection

    @contextmanager
    def _usable(self) -> Iterator[sqlite3.Connection]:
        """One thread at a time.

        Raises:
            NoSpaceError: the disk is full.
            RepositoryError: the file is damaged.
        """
        try:
            with self._lock:
                yield self._connection
        except sqlite3.Error as error:
            if is_full(error):
                raise NoSpaceError(DISK_IS_FULL) from None
            raise RepositoryError(
                f"{self._path}: the index of contents cannot be used ({error}); "
                "remove it: it is made anew"
            ) from None


def _split(joined: bytes) -> tuple[bytes, ...]:
    return tuple(joined[i : i + _DIGEST] for i in range(0, len(joined), _DIGEST))
