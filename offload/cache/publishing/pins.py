"""Which images somebody uses, and since when the others are used by nobody."""

from __future__ import annotations

import re
import sqlite3
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from offload.cache.publishing.errors import PublishingError, room_for_notes

_UID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_TABLES = """
CREATE TABLE IF NOT EXISTS pins (
  person TEXT, uid TEXT, image TEXT, PRIMARY KEY (person, uid, image)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS unused (image TEXT PRIMARY KEY, since REAL NOT NULL);
"""


class Pins:
    """Pins by person and what he calls his need, such as a pod's UID. Durable."""

    def __init__(self, path: Path) -> None:
        path.touch(mode=0o600)
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(path, check_same_thread=False, timeout=30)
        self._connection.executescript(f"PRAGMA journal_mode = WAL; {_TABLES}")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @contextmanager
    def still(self) -> Iterator[None]:
        """Let nobody else pin or ask, for a moment."""
        with self._lock:
            yield

    def add(self, person: str, uid: str, image: str) -> None:
        """Keep an image until :meth:`remove`; again is fine.

        Raises:
            PublishingError: the UID is none.
        """
        if not _UID.fullmatch(uid):
            raise PublishingError(
                f"pin {uid[:80]!r}: expected letters, digits, dots and dashes"
            )
        with self._lock, room_for_notes(), self._connection as connection:
            row = (person, uid, image)
            connection.execute("INSERT OR IGNORE INTO pins VALUES (?, ?, ?)", row)

    def remove(self, person: str, uid: str, image: str | None = None) -> int:
        """Forget a need, or what it has of one image; return how many pins went."""
        with self._lock, room_for_notes(), self._connection as connection:
            return connection.execute(
                "DELETE FROM pins WHERE person = ? AND uid = ? "
                "AND (? IS NULL OR image = ?)",
                (person, uid, image, image),
            ).rowcount

    def of(self, image: str) -> list[tuple[str, str]]:
        """Return who keeps an image: person and need."""
        with self._lock:
            return self._connection.execute(
                "SELECT person, uid FROM pins WHERE image = ? ORDER BY person, uid",
                (image,),
            ).fetchall()

    def images(self) -> frozenset[str]:
        """Return every image that somebody keeps."""
        with self._lock:
            rows = self._connection.execute("SELECT DISTINCT image FROM pins")
            return frozenset(image for (image,) in rows)

    def unused_since(self, images: Collection[str], now: float) -> dict[str, float]:
        """Note which images nothing refers to; return since when each is so.

        What was noted of others is forgotten: somebody uses them again, or they are
        gone.
        """
        with self._lock, room_for_notes(), self._connection as connection:
            connection.executemany(
                "INSERT OR IGNORE INTO unused VALUES (?, ?)",
                [(image, now) for image in images],
            )
            found = dict(connection.execute("SELECT image, since FROM unused"))
            gone = [(image,) for image in found if image not in images]
            connection.executemany("DELETE FROM unused WHERE image = ?", gone)
        return {image: found[image] for image in images}
