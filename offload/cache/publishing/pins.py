"""Which images somebody uses, and since when the others are used by nobody.

A pin stays until it is taken back. A lease ends by itself unless it is renewed: who has
vanished keeps nothing for ever.
"""

from __future__ import annotations

import re
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from offload.cache.publishing.errors import RefusedRequestError, room_for_notes

_UID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_TABLES = """
CREATE TABLE IF NOT EXISTS pins (
  person TEXT, uid TEXT, image TEXT, PRIMARY KEY (person, uid, image)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS leases (
  person TEXT, uid TEXT, image TEXT, until REAL NOT NULL,
  PRIMARY KEY (person, uid, image)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS unused (image TEXT PRIMARY KEY, since REAL NOT NULL);
"""


class Need(NamedTuple):
    """Why an image is kept."""

    person: str
    uid: str
    """What he calls it, such as a pod's UID."""
    until: float | None
    """When it ends, in seconds since the epoch; None for a pin."""


class Pins:
    """Pins and leases by person and what he calls his need. Durable.

    Args:
        path: the file; made if there is none.
        clock: seconds since the epoch.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
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
            RefusedRequestError: the UID is none.
        """
        check_uid(uid)
        with self._lock, room_for_notes(), self._connection as connection:
            row = (person, uid, image)
            connection.execute("INSERT OR IGNORE INTO pins VALUES (?, ?, ?)", row)

    def lease(
        self, person: str, uid: str, images: Collection[str], until: float
    ) -> None:
        """Keep these images until then, and none that this need kept before.

        Raises:
            RefusedRequestError: the UID is none.
        """
        check_uid(uid)
        with self._lock, room_for_notes(), self._connection as connection:
            connection.execute(
                "DELETE FROM leases WHERE person = ? AND uid = ?", (person, uid)
            )
            connection.executemany(
                "INSERT OR IGNORE INTO leases VALUES (?, ?, ?, ?)",
                [(person, uid, image, until) for image in images],
            )

    def remove(self, person: str, uid: str, image: str | None = None) -> int:
        """Forget a need, or what it has of one image; return how many pins went."""
        with self._lock, room_for_notes(), self._connection as connection:
            return connection.execute(
                "DELETE FROM pins WHERE person = ? AND uid = ? "
                "AND (? IS NULL OR image = ?)",
                (person, uid, image, image),
            ).rowcount

    def release(self, image: str) -> int:
        """Take back every pin and lease of an image; return how many there were."""
        with self._lock, room_for_notes(), self._connection as connection:
            return sum(
                connection.execute(
                    f"DELETE FROM {table} WHERE image = ?",  # noqa: S608 - no input
                    (image,),
                ).rowcount
                for table in ("pins", "leases")
            )

    def of(self, image: str) -> list[Need]:
        """Return who keeps an image, and what for."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT person, uid, NULL FROM pins WHERE image = :image "
                "UNION ALL SELECT person, uid, until FROM leases "
                "WHERE image = :image AND until > :now ORDER BY 1, 2, 3",
                {"image": image, "now": self._clock()},
            )
            return [Need(*row) for row in rows]

    def images(self) -> frozenset[str]:
        """Return every image that somebody keeps."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT image FROM pins UNION SELECT image FROM leases WHERE until > ?",
                (self._clock(),),
            )
            return frozenset(image for (image,) in rows)

    def unused_since_of(self, image: str) -> float | None:
        """Return since when nothing was seen to refer to an image; None if it was."""
        with self._lock:
            row = self._connection.execute(
                "SELECT since FROM unused WHERE image = ?", (image,)
            ).fetchone()
        return None if row is None else float(row[0])

    def unused_since(self, images: Collection[str], now: float) -> dict[str, float]:
        """Note which images nothing refers to; return since when each is so.

        What was noted of others is forgotten: somebody uses them again, or they are
        gone. So are leases that have ended.
        """
        with self._lock, room_for_notes(), self._connection as connection:
            connection.execute("DELETE FROM leases WHERE until <= ?", (now,))
            connection.executemany(
                "INSERT OR IGNORE INTO unused VALUES (?, ?)",
                [(image, now) for image in images],
            )
            # The clock has been set back: it would stay until then, and longer.
            connection.execute("UPDATE unused SET since = ?1 WHERE since > ?1", (now,))
            found = dict(connection.execute("SELECT image, since FROM unused"))
            gone = [(image,) for image in found if image not in images]
            connection.executemany("DELETE FROM unused WHERE image = ?", gone)
        return {image: found[image] for image in images}


def check_uid(uid: str) -> None:
    """Make sure that a need can be called so.

    Raises:
        RefusedRequestError: it cannot.
    """
    if not _UID.fullmatch(uid):
        raise RefusedRequestError(
            f"pin {uid[:80]!r}: expected letters, digits, dots and dashes"
        )
