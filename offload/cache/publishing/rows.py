"""The durable form of what is known of names: one row for each."""

from __future__ import annotations

import sqlalchemy as sa

from offload.cache.publishing.references import Reference
from offload.cache.publishing.work import Entry, State, Work

_VERSION = 2
_metadata = sa.MetaData()

names = sa.Table(
    "names",
    _metadata,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("asked", sa.Integer, nullable=False),
    sa.Column("asked_at", sa.Float, nullable=False),
    sa.Column("due", sa.Float, index=True),
    sa.Column("failures", sa.Integer, nullable=False, default=0),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("image", sa.String, index=True),
    sa.Column("told", sa.String),
    sa.Column("expected", sa.String),
    sa.Column("detail", sa.Text, nullable=False, default=""),
    sa.Column("done", sa.BigInteger, nullable=False, default=0),
    sa.Column("total", sa.BigInteger, nullable=False, default=0),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("held", sa.Integer, nullable=False, server_default="0"),
    sa.Column("crashes", sa.Integer, nullable=False, server_default="0"),
)
"""``due`` is NULL where nothing is to be done; ``held`` is 1 from before somebody begins
to work on a name until he writes what became of it."""
_LATER = ("held", "crashes")
"""Columns that files of version 1 do not have."""


def ensure_schema(connection: sa.Connection) -> None:
    """Bring a file, perhaps a new one, to the schema of this version."""
    if connection.exec_driver_sql("PRAGMA user_version").scalar() == 1:
        for column in _LATER:
            connection.exec_driver_sql(
                f"ALTER TABLE names ADD COLUMN {column} INTEGER NOT NULL DEFAULT 0"
            )
    _metadata.create_all(connection)
    connection.exec_driver_sql(f"PRAGMA user_version={_VERSION}")


def work_of(row: sa.Row[tuple[object, ...]]) -> Work:
    """Read a row as what is to be done."""
    return Work(
        Reference.parse(row.name),
        row.asked,
        row.failures,
        row.asked_at,
        row.expected,
        row.crashes,
    )


def entry_of(row: sa.Row[tuple[object, ...]]) -> Entry:
    """Read a row as what is known."""
    is_open = row.due is not None
    return Entry(
        Reference.parse(row.name),
        State.WAITING if is_open else State(row.state),
        row.image,
        row.told,
        row.detail,
        row.asked_at,
        row.due,
        row.at,
        row.done,
        row.total,
        row.failures,
    )
