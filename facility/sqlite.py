"""SQLite files that several processes open, make and write to at once."""

from __future__ import annotations

import fcntl
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

BUSY_TIMEOUT_S = 30
"""For so long a connection waits for others' locks."""


def open_engine(path: Path, *, writes: Callable[[sa.Connection], bool]) -> sa.Engine:
    """Return an engine whose transactions hold what they have read until they end.

    Args:
        path: the file.
        writes: whether a transaction that begins is to hold the write lock from its
            first statement on: what it compares cannot change before it writes.
    """
    engine = sa.create_engine(f"sqlite:///{path}")

    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes(connection) else "BEGIN")

    sa.event.listen(engine, "connect", _configure)
    sa.event.listen(engine, "begin", begin)
    return engine


@contextmanager
def made_by_one(path: Path) -> Iterator[None]:
    """Make a file (mode 0600) with a write-ahead log if need be, and hold others off.

    What brings it to its schema is done inside.
    """
    # SQLite does not wait, whatever its timeout, for the lock that the change to a
    # write-ahead log needs: processes that make the file at once take turns here.
    with path.with_name(f"{path.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path.touch(mode=0o600)
        with closing(sqlite3.connect(path, timeout=BUSY_TIMEOUT_S)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")  # the file remembers it
        yield


def _configure(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    # The driver begins transactions only before the first write: it shall begin none.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_S * 1000}")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()
