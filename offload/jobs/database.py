"""The ledger's SQLite file: opened, made and migrated by several processes at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from facility.sqlite import made_by_one, open_engine
from offload.jobs.migrate import is_current, upgrade

_WRITES = "ledger_writes"


class Database:
    """One person's file (mode 0600 in a folder of mode 0700); made if need be."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.parent.stat().st_mode & 0o077:  # made on the way to the snapshots
            path.parent.chmod(0o700)
        self._engine = open_engine(
            path, writes=lambda c: bool(c.get_execution_options().get(_WRITES, False))
        )
        if path.exists() and self._is_ready():
            return
        with made_by_one(path), self.write() as writing:
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
