"""Which published image a job's environment is part of."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column; of jobs of before nobody knows."""
    op.add_column("jobs", sa.Column("public", sa.String))


def downgrade() -> None:
    """Forget them."""
    op.drop_column("jobs", "public")
