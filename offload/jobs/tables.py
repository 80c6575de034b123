"""Tables of a person's ledger of jobs."""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("group", sa.String, nullable=False, unique=True),
    sa.Column("spec", sa.Text, nullable=False),
    sa.Column("snapshot", sa.Text, nullable=False),
    sa.Column("prior", sa.Text, nullable=False),
    sa.Column("image", sa.String, nullable=False),
    sa.Column("public", sa.String),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("stage", sa.String, nullable=False, index=True),
    sa.Column("frozen_at", sa.Float, nullable=False),
    sa.Column("stored_at", sa.Float),
    sa.Column("placed_at", sa.Float),
    sa.Column("transferred_at", sa.Float),
    sa.Column("site", sa.String),
    sa.Column("site_reason", sa.Text, nullable=False, default=""),
    sa.Column("waiting", sa.Text, nullable=False, default=""),
    sa.Column("waiting_until", sa.Float),
    sa.Column("progress_done", sa.BigInteger),
    sa.Column("progress_total", sa.BigInteger),
    sa.Column("warnings", sa.Text, nullable=False, default="[]"),
    sa.Column("cancelled_at", sa.Float),
    sa.Column("closed_at", sa.Float, index=True),
    sqlite_autoincrement=True,
)
"""One row is one submission.

``stage`` goes up to ``transferred`` and stays there: from then on each element has its
own. ``public``: digest of the image with what of the environment is published, known
from stage ``stored`` on. ``closed_at``: nothing is left to be done, at the site neither.
"""

elements = sa.Table(
    "elements",
    metadata,
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
    sa.Column("site_id", sa.String, nullable=False, default=""),
    sa.Column("outcome", sa.String),
    sa.Column("exit_code", sa.Integer),
    sa.Column("message", sa.Text, nullable=False, default=""),
    sa.Column("started", sa.Float),
    sa.Column("finished", sa.Float),
    sa.Column("report", sa.Text, nullable=False, default="[]"),
    sa.Index("elements_by_stage", "job", "stage"),
)
"""One row is one execution. ``sent_at`` is written before the site is asked."""

publications = sa.Table(
    "publications",
    metadata,
    sa.Column("image", sa.String, primary_key=True),
    sa.Column("source", sa.String, nullable=False),
    sa.Column("wanted_at", sa.Float, nullable=False),
    sa.Column("handed_over_at", sa.Float),
    sa.Column("refused_at", sa.Float),
    sa.Column("detail", sa.Text, nullable=False, default=""),
    sa.Column("published", sa.String),
)
"""One row is one public image, by its digest, that the facility shall publish.

``source`` is the snapshot's image whose public part it is; ``published`` the image with
what of it is proven to be public, if that is less. Written before anything is sent."""

sites = sa.Table(
    "sites",
    metadata,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("detail", sa.Text, nullable=False, default=""),
    sa.Column("until", sa.Float),
    sa.Column("info", sa.Text),
    sa.Column("at", sa.Float, nullable=False),
)
"""What the agent knew last of each site: for people, and to refuse at submission."""
