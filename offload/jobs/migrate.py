"""Bring a ledger to the schema of this version."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

HEAD = "0003"
"""The revision that this version works with."""


def is_current(connection: sa.Connection) -> bool:
    """Whether the ledger has this version's schema; reads one row."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return False
    row = connection.exec_driver_sql("SELECT version_num FROM alembic_version").first()
    return row is not None and row[0] == HEAD


def upgrade(connection: sa.Connection) -> None:
    """Apply the migrations that the ledger lacks, in the caller's transaction."""
    # Only where a migration is due: a command that reads the ledger shall be quick.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
