"""The ledger's SQLite file: opened, made and migrated by several processes at once."""

from __future__ import annotations

import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from offload.jobs.migrate import is_current, upgrade

BUSY_TIMEOUT_S = 30
_WRITES = "ledger_writes"


def _configure(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    # The driver begins transactions only before the first write; what we compare must
    # not change until we set it, so _begin takes the lock first.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_S * 1000}")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    # SQLite does not wait, whatever its timeout, for the lock that the change to a
    # write-ahead log needs: processes that make the file at once take turns here.
    with path.with_name(f"{path.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class Database:
    """One person's file (mode 0600 in a folder of mode 0700); made if need be."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.parent.stat().st_mode & 0o077:  # made on the way to the snapshots
            path.parent.chmod(0o700)
        self._engine = sa.create_engine(f"sqlite:///{path}")
        sa.event.listen(self._engine, "connect", _configure)
        sa.event.listen(self._engine, "begin", _begin)
        if path.exists() and self._is_ready():
            return
        with _alone(path):
            path.touch(mode=0o600)
            with closing(sqlite3.connect(path, timeout=BUSY_TIMEOUT_S)) as connection:
                connection.execute("PRAGMA journal_mode=WAL")  # the file remembers it
            with self.write() as writing:
                upgrade(writing)

    def _is_ready(self) -> bool:
        with self.read() as connection:
            mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
            return mode == "wal" and is_current(connection)

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Give one consistent view of everything; never waits for writers."""
        with self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """Hold the write lock from the first statement on; durable at the end."""
        with (
            self._engine.connect().execution_options(**{_WRITES: True}) as connection,
            connection.begin(),
        ):
            yield connection

    def version(self) -> int:
        """Return a number that changes when another connection writes.

        Compare numbers of one thread only: the number belongs to its connection.
        """
        with self._engine.connect() as connection:
            row = connection.exec_driver_sql("PRAGMA data_version")
            return int(row.scalar_one())

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()
