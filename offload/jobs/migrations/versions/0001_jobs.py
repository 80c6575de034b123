"""The first tables: jobs, their elements, and sites."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "jobs",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("group", sa.String, nullable=False, unique=True),
        sa.Column("spec", sa.Text, nullable=False),
        sa.Column("snapshot", sa.Text, nullable=False),
        sa.Column("prior", sa.Text, nullable=False),
        sa.Column("image", sa.String, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("stage", sa.String, nullable=False, index=True),
        sa.Column("frozen_at", sa.Float, nullable=False),
        sa.Column("stored_at", sa.Float),
        sa.Column("placed_at", sa.Float),
        sa.Column("transferred_at", sa.Float),
        sa.Column("site", sa.String),
        sa.Column("site_reason", sa.Text, nullable=False),
        sa.Column("waiting", sa.Text, nullable=False),
        sa.Column("waiting_until", sa.Float),
        sa.Column("progress_done", sa.BigInteger),
        sa.Column("progress_total", sa.BigInteger),
        sa.Column("warnings", sa.Text, nullable=False),
        sa.Column("cancelled_at", sa.Float),
        sa.Column("closed_at", sa.Float, index=True),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "elements",
        sa.Column("job", sa.Integer, sa.ForeignKey("jobs.id"), primary_key=True),
        sa.Column("index", sa.Integer, primary_key=True),
        sa.Column("is_one_of_many", sa.Boolean, nullable=False),
        sa.Column("uid", sa.String, nullable=False, unique=True),
        sa.Column("stage", sa.String, nullable=False),
        sa.Column("sent_at", sa.Float),
        sa.Column("queued_at", sa.Float),
        sa.Column("running_at", sa.Float),
        sa.Column("returning_at", sa.Float),
        sa.Column("done_at", sa.Float),
        sa.Column("removed_at", sa.Float),
        sa.Column("cancelled_at", sa.Float),
        sa.Column("site_id", sa.String, nullable=False),
        sa.Column("outcome", sa.String),
        sa.Column("exit_code", sa.Integer),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("started", sa.Float),
        sa.Column("finished", sa.Float),
        sa.Column("report", sa.Text, nullable=False),
        sa.Index("elements_by_stage", "job", "stage"),
    )
    op.create_table(
        "sites",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("until", sa.Float),
        sa.Column("info", sa.Text),
        sa.Column("at", sa.Float, nullable=False),
    )


def downgrade() -> None:
    """Remove them, with every job."""
    op.drop_table("sites")
    op.drop_table("elements")
    op.drop_table("jobs")
