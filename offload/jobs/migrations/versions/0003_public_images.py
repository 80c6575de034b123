"""Which published image a job's environment is part of, and as what it is published."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the columns; of jobs of before nobody knows."""
    op.add_column("jobs", sa.Column("public", sa.String))
    op.add_column("publications", sa.Column("published", sa.String))


def downgrade() -> None:
    """Forget them."""
    op.drop_column("publications", "published")
    op.drop_column("jobs", "public")
