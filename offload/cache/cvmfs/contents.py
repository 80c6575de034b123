"""Which objects hold which content: what is known is not compressed a second time.

An index only: lost, or behind the truth, it costs time. It must never be ahead of it, so
objects are there before they are noted, and forgotten before they are removed.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from offload.cache.cvmfs.names import ObjectName

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
        path.touch(mode=0o600)
        self._connection = sqlite3.connect(path, check_same_thread=False, timeout=30)
        # What the machine going down takes away may cost time, as the module says; so
        # no flush of the disk is waited for.
        self._connection.executescript(
            f"PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; {_SCHEMA}"
        )
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
        with self._lock:
            if (fresh := self._fresh.get((sha256, is_chunk))) is not None:
                return fresh
            found = self._connection.execute(
                "SELECT objects FROM contents WHERE sha256 = ? AND is_chunk = ?",
                (sha256, is_chunk),
            ).fetchone()
        if found is None:
            return None
        return _split(found[0])

    def add(
        self, sha256: bytes, objects: tuple[bytes, ...], *, is_chunk: bool = False
    ) -> None:
        """Note objects that are there; on disk with the next flush."""
        with self._lock:
            self._fresh[sha256, is_chunk] = objects

    def flush(self) -> None:
        with self._lock, self._connection as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO contents VALUES (?, ?, ?)",
                (
                    (sha256, is_chunk, b"".join(objects))
                    for (sha256, is_chunk), objects in self._fresh.items()
                ),
            )
            self._fresh.clear()

    def forget(self, objects: Iterable[ObjectName]) -> None:
        """Forget the contents that these objects hold; on disk when it returns."""
        gone = {name.digest for name in objects}
        if not gone:
            return
        with self._lock, self._connection as connection:
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
        found = self._connection.execute("SELECT object, since FROM unused")
        return {name: datetime.fromtimestamp(since, UTC) for name, since in found}

    def set_unused(self, unused: Mapping[str, datetime]) -> None:
        """Note them in place of those that were noted; on disk when it returns."""
        with self._lock, self._connection as connection:
            connection.execute("DELETE FROM unused")
            connection.executemany(
                "INSERT INTO unused VALUES (?, ?)",
                ((name, since.timestamp()) for name, since in unused.items()),
            )


def _split(joined: bytes) -> tuple[bytes, ...]:
    return tuple(joined[i : i + _DIGEST] for i in range(0, len(joined), _DIGEST))
