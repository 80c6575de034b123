"""Which public parts of environments are handed over to be published."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "publications",
        sa.Column("image", sa.String, primary_key=True),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("wanted_at", sa.Float, nullable=False),
        sa.Column("handed_over_at", sa.Float),
        sa.Column("refused_at", sa.Float),
        sa.Column("detail", sa.Text, nullable=False),
    )


def downgrade() -> None:
    """Forget them: what was published stays so."""
    op.drop_table("publications")
