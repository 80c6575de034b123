"""Tables of the broker's database."""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

leases = sa.Table(
    "leases",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("user", sa.String, nullable=False, index=True),
    sa.Column("cluster", sa.String, nullable=False, index=True),
    sa.Column("clusters", sa.Integer, nullable=False),
    sa.Column("workers", sa.Integer, nullable=False),
    sa.Column("cores", sa.Float, nullable=False),
    sa.Column("memory", sa.BigInteger, nullable=False),
    sa.Column("granted_at", sa.Float, nullable=False),
)
"""One row is one thing in use: a cluster (its scheduler) or a worker."""
