"""The durable form of what is known of names: one row for each."""

from __future__ import annotations

import sqlalchemy as sa

from offload.cache.publishing.references import Reference
from offload.cache.publishing.work import Entry, State, Work

_VERSION = 3
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
    sa.Column("working", sa.String),
)
"""``due`` is NULL where nothing is to be done; ``held`` is 1 from before somebody begins
to work on a name until he writes what became of it; ``working`` is the image (digest)
that it means, as soon as he knows."""
crashes = sa.Table(
    "crashes",
    _metadata,
    sa.Column("subject", sa.String, primary_key=True),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("at", sa.Float, nullable=False),
)
"""By image (digest), or by name where the image is not known; ``at`` is the last one."""


def ensure_schema(connection: sa.Connection) -> None:
    """Bring a file, perhaps a new one, to the schema of this version."""
    version = connection.exec_driver_sql("PRAGMA user_version").scalar()
    if version == 1:
        connection.exec_driver_sql(
            "ALTER TABLE names ADD COLUMN held INTEGER NOT NULL DEFAULT 0"
        )
    if version in {1, 2}:
        connection.exec_driver_sql("ALTER TABLE names ADD COLUMN working VARCHAR")
    _metadata.create_all(connection)
    connection.exec_driver_sql(f"PRAGMA user_version={_VERSION}")


def work_of(row: sa.Row[tuple[object, ...]], crashes: int) -> Work:
    """Read a row as what is to be done."""
    return Work(
        Reference.parse(row.name),
        row.asked,
        row.failures,
        row.asked_at,
        row.expected,
        crashes,
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
