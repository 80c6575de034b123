"""The durable record of a person's jobs. Every change is a compare-and-set.

Whatever is done outside is recorded here first; who was killed in between finds in
the ledger what to do again. A change applies only to rows that are still where the
caller believes them to be, so an agent that was replaced changes nothing.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from offload.jobs.changes import Gone, Observed
from offload.jobs.errors import NoSuchJobError
from offload.jobs.ledger_view import LedgerView
from offload.jobs.model import Element, ElementName, JobId
from offload.jobs.rows import MESSAGE_LENGTH, element_of, news_of
from offload.jobs.specification import JobSpec
from offload.jobs.stages import Outcome, Stage
from offload.jobs.tables import elements, jobs

_WAITS_NO_MORE = {"waiting": "", "waiting_until": None}
_MOVES_NO_MORE = {"progress_done": None, "progress_total": None}


class Ledger(LedgerView):
    """The ledger in one file, to be read and changed."""

    # what a person does

    def add(
        self,
        spec: JobSpec,
        *,
        snapshot: str,
        image: str,
        prior: str = "{}",
        warnings: Sequence[str] = (),
        above: int = 0,
    ) -> JobId:
        """Record a job in stage ``frozen``; durable when this returns.

        Args:
            spec: What is to be run.
            snapshot: Its document (JSON).
            image: Digest of the manifest that carries it.
            prior: What of the declared outputs is here already (JSON).
            warnings: What the person should see with the job.
            above: Ids up to this one are taken, by jobs that another ledger knows.

        Raises:
            NoSuchJobError: a job that it shall come after does not exist.
        """
        now = self._clock()
        with self._database.write() as connection:
            wanted = {int(job) for job in spec.after}
            query = sa.select(jobs.c.id).where(jobs.c.id.in_(wanted))
            missing = wanted.difference(connection.scalars(query))
            if missing:
                raise NoSuchJobError.of(f"--after {min(missing)}")
            last = connection.scalar(sa.select(sa.func.max(jobs.c.id))) or 0
            row = connection.execute(
                jobs.insert().values(
                    **({"id": above + 1} if above > last else {}),
                    group=str(uuid.uuid4()),
                    spec=spec.model_dump_json(),
                    snapshot=snapshot,
                    prior=prior,
                    image=image,
                    count=spec.count,
                    stage=Stage.FROZEN,
                    frozen_at=now,
                    warnings=json.dumps(list(warnings)),
                )
            ).inserted_primary_key
            assert row is not None
            job = JobId(row[0])
            connection.execute(
                elements.insert(),
                [
                    {
                        "job": job,
                        "index": index,
                        "uid": str(uuid.uuid4()),
                        "is_one_of_many": spec.count > 1,
                        "stage": Stage.FROZEN,
                    }
                    for index in range(spec.count)
                ],
            )
        return job

    def cancel(self, job: JobId, index: int | None = None) -> bool:
        """Record that a job, or one of its elements, shall end.

        Returns whether that changed anything: it does not for what is done.

        Raises:
            NoSuchJobError: there is none.
        """
        now = self._clock()
        with self._database.write() as connection:
            of_it = elements.c.job == job
            if index is not None:
                of_it &= elements.c.index == index
            if not connection.scalar(sa.select(sa.func.count()).where(of_it)):
                raise NoSuchJobError.of(f"job {ElementName(job, index)}")
            changed = connection.execute(
                elements.update()
                .where(
                    of_it,
                    elements.c.stage.not_in([Stage.DONE, Stage.RETURNING]),
                    elements.c.cancelled_at.is_(None),
                )
                .values(cancelled_at=now)
            ).rowcount
            if index is None and changed:
                connection.execute(_update(job).values(cancelled_at=now))
        return bool(changed)

    # what the agent does

    def advance(self, job: JobId, expected: Stage, stage: Stage, **values: Any) -> bool:
        """Move a job that is not at a site yet; whether it was where expected.

        What it waited for is over.
        """
        now = self._clock()
        with self._database.write() as connection:
            moved = connection.execute(
                jobs.update()
                .where(jobs.c.id == job, jobs.c.stage == expected)
                .values(
                    stage=stage,
                    **_WAITS_NO_MORE,
                    **_MOVES_NO_MORE,
                    **{f"{stage}_at": _first(stage, now)},
                    **values,
                )
            ).rowcount
            if moved:
                connection.execute(
                    elements.update()
                    .where(elements.c.job == job, elements.c.stage == expected)
                    .values(stage=stage)
                )
        return bool(moved)

    def note(self, job: JobId, waiting: str, until: float | None = None) -> None:
        """Record what a job waits for."""
        with self._database.write() as connection:
            connection.execute(
                _update(job).values(
                    waiting=waiting[:MESSAGE_LENGTH], waiting_until=until
                )
            )

    def progress(self, jobs_: Iterable[JobId], done: int, total: int) -> None:
        """Record how much of what these jobs wait for has been moved."""
        with self._database.write() as connection:
            connection.execute(
                jobs.update()
                .where(jobs.c.id.in_(list(jobs_)))
                .values(progress_done=done, progress_total=total)
            )

    def sending(self, job: JobId, indexes: Sequence[int]) -> list[int]:
        """Record that the site is about to be asked to run these elements.

        Returns those that may be sent: not the ones cancelled meanwhile.
        """
        now = self._clock()
        with self._database.write() as connection:
            may = (
                (elements.c.job == job)
                & elements.c.index.in_(list(indexes))
                & (elements.c.stage == Stage.TRANSFERRED)
                & elements.c.cancelled_at.is_(None)
            )
            connection.execute(
                elements.update()
                .where(may, elements.c.sent_at.is_(None))
                .values(sent_at=now)
            )
            query = sa.select(elements.c.index).where(may)
            return list(connection.scalars(query.order_by(elements.c.index)))

    def accepted(self, job: JobId, site_ids: Mapping[int, str]) -> None:
        """Record that the site has accepted these elements (index to its own id)."""
        now = self._clock()
        with self._database.write() as connection:
            connection.execute(_update(job).values(**_WAITS_NO_MORE))
            connection.execute(
                elements.update()
                .where(
                    elements.c.job == job,
                    elements.c.index == sa.bindparam("at"),
                    elements.c.stage == Stage.TRANSFERRED,
                )
                .values(
                    stage=Stage.QUEUED, queued_at=now, site_id=sa.bindparam("site")
                ),
                [{"at": index, "site": id_} for index, id_ in site_ids.items()],
            )

    def observe(self, observed: Mapping[str, Observed | Gone]) -> set[JobId]:
        """Record what a site said (by UID); return the jobs that it changed."""
        now = self._clock()
        changed: set[JobId] = set()
        with self._database.write() as connection:
            for uid, element in _by_uid(connection, list(observed)).items():
                if news := news_of(element, observed[uid], now):
                    changed.add(element.job)
                    connection.execute(
                        elements.update().where(elements.c.uid == uid).values(**news)
                    )
        return changed

    def finish(
        self,
        job: JobId,
        indexes: Sequence[int],
        expected: Iterable[Stage],
        *,
        outcome: Outcome | None = None,
        message: str | None = None,
        report: Sequence[str] = (),
    ) -> int:
        """Record that these elements are done; return how many were as expected.

        Args:
            job: Their job.
            indexes: Which.
            expected: Stages that they must be in.
            outcome: How they ended, where the site has not said.
            message: Why, where the site has not said.
            report: What the person should know of what came back.
        """
        values: dict[str, Any] = {
            "stage": Stage.DONE,
            "done_at": self._clock(),
            "report": json.dumps(list(report)),
        }
        if outcome is not None:
            values["outcome"] = outcome
        if message is not None:
            values["message"] = message[:MESSAGE_LENGTH]
        with self._database.write() as connection:
            connection.execute(_update(job).values(**_MOVES_NO_MORE))
            return connection.execute(
                elements.update()
                .where(
                    elements.c.job == job,
                    elements.c.index.in_(list(indexes)),
                    elements.c.stage.in_(list(expected)),
                )
                .values(**values)
            ).rowcount

    def removed(self, job: JobId, indexes: Sequence[int]) -> None:
        """Record that the site has confirmed that these are gone from there."""
        with self._database.write() as connection:
            connection.execute(
                elements.update()
                .where(elements.c.job == job, elements.c.index.in_(list(indexes)))
                .values(removed_at=self._clock())
            )

    def close_job(self, job: JobId) -> None:
        """Record that nothing is left to be done for a job."""
        with self._database.write() as connection:
            connection.execute(
                _update(job).values(
                    closed_at=self._clock(), **_WAITS_NO_MORE, **_MOVES_NO_MORE
                )
            )


def _by_uid(connection: sa.Connection, uids: Sequence[str]) -> dict[str, Element]:
    found: dict[str, Element] = {}
    for start in range(0, len(uids), 500):
        some = uids[start : start + 500]
        rows = connection.execute(
            sa.select(elements).where(elements.c.uid.in_(some))
        ).mappings()
        found |= {row["uid"]: element_of(row) for row in rows}
    return found


def _update(job: JobId) -> sa.Update:
    return jobs.update().where(jobs.c.id == job)


def _first(stage: Stage, now: float) -> sa.ColumnElement[Any]:
    # A site that lost blobs gets them again; the time is that of the first.
    return sa.func.coalesce(jobs.c[f"{stage}_at"], now)
