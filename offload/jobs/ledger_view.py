"""What is recorded of a person's jobs, read: one consistent view for each question."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from offload.jobs.database import Database
from offload.jobs.errors import NoSuchJobError
from offload.jobs.model import Element, Job, JobId
from offload.jobs.publications import Publications
from offload.jobs.rows import element_of, job_of
from offload.jobs.site_reports import SiteReports
from offload.jobs.stages import Stage
from offload.jobs.tables import elements, jobs, publications


class LedgerView:
    """Everything that can be asked of a ledger.

    Args:
        path: The file; made, and brought to the current schema, if need be.
        clock: Seconds since the epoch.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._database = Database(path)
        self._clock = clock
        self.publications = Publications(self._database, clock)
        self.sites = SiteReports(self._database, clock)

    def close(self) -> None:
        """Close every connection."""
        self._database.close()

    def version(self) -> int:
        """Return a number that differs once another process has changed something."""
        return self._database.version()

    def job(self, job: JobId, *, with_elements: bool = False) -> Job:
        """Return a job.

        Raises:
            NoSuchJobError: there is none of that id.
        """
        found = self._jobs(jobs.c.id == job, with_elements=with_elements)
        if not found:
            raise NoSuchJobError.of(f"job {job}")
        return found[0]

    def jobs(self, *, limit: int | None = None) -> list[Job]:
        """Return jobs, newest first."""
        return self._jobs(sa.true(), limit=limit)

    def open_jobs(self) -> list[JobId]:
        """Return the jobs that the agent has something left to do for, oldest first."""
        query = sa.select(jobs.c.id).where(jobs.c.closed_at.is_(None))
        with self._database.read() as connection:
            return [JobId(i) for i in connection.scalars(query.order_by(jobs.c.id))]

    def element(self, job: JobId, index: int) -> tuple[Element, str | None]:
        """Return an element and the site that is chosen for it.

        Raises:
            NoSuchJobError: there is none.
        """
        query = (
            sa.select(elements, jobs.c.site)
            .join(jobs, jobs.c.id == elements.c.job)
            .where(elements.c.job == job, elements.c.index == index)
        )
        with self._database.read() as connection:
            row = connection.execute(query).mappings().first()
        if row is None:
            raise NoSuchJobError.of(f"job {job}.{index}")
        return element_of(row), row["site"]

    def unsettled(self, job: JobId) -> list[Element]:
        """Return the elements that are not done, or not yet confirmed as removed."""
        settled = (elements.c.stage == Stage.DONE) & (
            elements.c.removed_at.is_not(None) | elements.c.sent_at.is_(None)
        )
        query = sa.select(elements).where(elements.c.job == job, ~settled)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(elements.c.index)).mappings()
            return [element_of(row) for row in rows]

    def at_site(self, site: str) -> list[Element]:
        """Return the elements that the site has accepted and that have not ended."""
        query = (
            sa.select(elements)
            .join(jobs, jobs.c.id == elements.c.job)
            .where(
                jobs.c.closed_at.is_(None),
                jobs.c.site == site,
                elements.c.stage.in_([Stage.QUEUED, Stage.RUNNING]),
            )
        )
        with self._database.read() as connection:
            return [element_of(row) for row in connection.execute(query).mappings()]

    def load_of_sites(self) -> dict[str, int]:
        """Return how many executions are queued or run at each site."""
        query = (
            sa.select(jobs.c.site, sa.func.count())
            .join(elements, jobs.c.id == elements.c.job)
            .where(
                jobs.c.closed_at.is_(None),
                jobs.c.site.is_not(None),
                elements.c.stage != Stage.DONE,
            )
            .group_by(jobs.c.site)
        )
        with self._database.read() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def snapshot(self, job: JobId) -> str:
        """Return the snapshot document of a job (JSON)."""
        query = sa.select(jobs.c.snapshot).where(jobs.c.id == job)
        with self._database.read() as connection:
            return str(connection.execute(query).scalar_one())

    def prior(self, job: JobId) -> str:
        """Return what of the declared outputs was here at submission (JSON)."""
        query = sa.select(jobs.c.prior).where(jobs.c.id == job)
        with self._database.read() as connection:
            return str(connection.execute(query).scalar_one())

    def images(self) -> list[str]:
        """Return the digests of every snapshot that a job refers to."""
        with self._database.read() as connection:
            return list(connection.scalars(sa.select(jobs.c.image).distinct()))

    def public_images(self, *, over_since: float | None = None) -> frozenset[str]:
        """Return the published images that jobs refer to which are not over.

        Args:
            over_since: with those that are, but were not then (seconds since the epoch).
        """
        there = sa.func.coalesce(publications.c.published, jobs.c.public)
        both = jobs.outerjoin(publications, publications.c.image == jobs.c.public)
        query = sa.select(there).select_from(both).distinct()
        is_meant = sa.or_(
            jobs.c.closed_at.is_(None),
            sa.false() if over_since is None else jobs.c.closed_at > over_since,
        )
        with self._database.read() as connection:
            found = connection.scalars(
                query.where(is_meant, jobs.c.public.is_not(None))
            )
            return frozenset(found)

    def _jobs(
        self,
        condition: sa.ColumnElement[bool],
        *,
        limit: int | None = None,
        with_elements: bool = False,
    ) -> list[Job]:
        query = sa.select(jobs).where(condition).order_by(jobs.c.id.desc()).limit(limit)
        with self._database.read() as connection:
            rows = connection.execute(query).mappings().all()
            ids = [row["id"] for row in rows]
            summaries: dict[int, list[sa.RowMapping]] = {i: [] for i in ids}
            for summary in connection.execute(_summary(ids)).mappings():
                summaries[summary["job"]].append(summary)
            parts: list[Element] = []
            if with_elements and ids:
                of_them = sa.select(elements).where(elements.c.job.in_(ids))
                found = connection.execute(of_them.order_by(elements.c.index))
                parts = [element_of(row) for row in found.mappings()]
            return [job_of(row, summaries[row["id"]], parts) for row in rows]


def _summary(ids: Sequence[int]) -> sa.Select[Any]:
    return (
        sa.select(
            elements.c.job,
            elements.c.stage,
            elements.c.outcome,
            sa.func.count().label("number"),
            sa.func.min(elements.c.queued_at).label("queued_at"),
            sa.func.min(elements.c.running_at).label("running_at"),
            sa.func.min(elements.c.returning_at).label("returning_at"),
            sa.func.max(elements.c.done_at).label("done_at"),
            sa.func.max(elements.c.message).label("message"),
        )
        .where(elements.c.job.in_(ids))
        .group_by(elements.c.job, elements.c.stage, elements.c.outcome)
    )
