"""Rows of the ledger as jobs and elements."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import RowMapping

from offload.jobs.changes import Gone, Observed
from offload.jobs.model import Element, Job, JobId, Progress, least_far
from offload.jobs.specification import JobSpec
from offload.jobs.stages import BEFORE_SITE, Outcome, Stage

MESSAGE_LENGTH = 4000
"""Of others' words so many characters are kept."""

_CANCELLED = Observed(Stage.RETURNING, outcome=Outcome.CANCELLED, message="cancelled")
_LOST = Observed(
    Stage.RETURNING,
    outcome=Outcome.LOST,
    message="the site had accepted it and does not know it any more",
)
_ELEMENT_STAGES = (Stage.QUEUED, Stage.RUNNING, Stage.RETURNING, Stage.DONE)


def texts(column: str) -> tuple[str, ...]:
    """Read a column that holds a JSON list of lines."""
    return tuple(json.loads(column))


def element_of(row: RowMapping) -> Element:
    """Return the element of a row of ``elements``."""
    return Element(
        job=JobId(row["job"]),
        index=row["index"],
        uid=row["uid"],
        stage=Stage(row["stage"]),
        times={s: at for s in _ELEMENT_STAGES if (at := row[f"{s}_at"]) is not None},
        is_sent=row["sent_at"] is not None,
        is_removed=row["removed_at"] is not None,
        is_cancelled=row["cancelled_at"] is not None,
        site_id=row["site_id"],
        outcome=Outcome(row["outcome"]) if row["outcome"] else None,
        exit_code=row["exit_code"],
        message=row["message"],
        started=row["started"],
        finished=row["finished"],
        report=texts(row["report"]),
        is_one_of_many=row["is_one_of_many"],
    )


def job_of(
    row: RowMapping, summaries: Iterable[RowMapping], elements: Sequence[Element] = ()
) -> Job:
    """Return the job of a row of ``jobs``.

    Args:
        row: of ``jobs``.
        summaries: its elements counted by stage and outcome, with the first and last
            time of each stage.
        elements: all of them, or none.
    """
    times: dict[Stage, float] = {
        s: at for s in BEFORE_SITE if (at := row[f"{s}_at"]) is not None
    }
    counts: dict[Stage, int] = {}
    outcomes: dict[Outcome, int] = {}
    message = ""
    waiting = row["waiting"]
    last = 0.0
    for summary in summaries:
        stage = Stage(summary["stage"])
        counts[stage] = counts.get(stage, 0) + summary["number"]
        if stage is Stage.DONE:
            last = max(last, summary["done_at"])
            outcome = Outcome(summary["outcome"])
            outcomes[outcome] = outcomes.get(outcome, 0) + summary["number"]
            if outcome is not Outcome.SUCCEEDED:
                message = message or summary["message"]
        elif stage is Stage.QUEUED:
            waiting = waiting or summary["message"]
        _earliest(times, summary)
    stage = least_far(counts)
    if stage is Stage.DONE:
        times[Stage.DONE] = last
    total = row["progress_total"]
    return Job(
        id=JobId(row["id"]),
        group=row["group"],
        spec=JobSpec.model_validate_json(row["spec"]),
        image=row["image"],
        stage=stage,
        times=times,
        counts=counts,
        outcomes=outcomes,
        site=row["site"],
        site_reason=row["site_reason"],
        waiting="" if stage is Stage.DONE else waiting,
        waiting_until=row["waiting_until"],
        progress=None if total is None else Progress(row["progress_done"] or 0, total),
        warnings=texts(row["warnings"]),
        is_cancelled=row["cancelled_at"] is not None,
        message=message,
        elements=tuple(elements),
    )


def _earliest(times: dict[Stage, float], summary: RowMapping) -> None:
    for stage in (Stage.QUEUED, Stage.RUNNING, Stage.RETURNING):
        at = summary[f"{stage}_at"]
        if at is not None:
            times[stage] = min(at, times.get(stage, at))


def news_of(element: Element, what: Observed | Gone, now: float) -> dict[str, Any]:
    """Return the columns of ``elements`` that a site's word changes; none if it is old.

    What has ended stays ended, and nothing is believed of what was not sent. What was
    not accepted cannot be gone: it is sent again, or withdrawn.
    """
    if isinstance(what, Gone):
        if element.stage is Stage.TRANSFERRED:
            return {}
        what = _CANCELLED if element.is_cancelled else _LOST
    was_there = element.stage in {Stage.TRANSFERRED, Stage.QUEUED, Stage.RUNNING}
    site_id = what.site_id or element.site_id
    known = (element.stage, element.message, element.site_id, element.started)
    said = (what.stage, what.message, site_id, what.started)
    if not was_there or not element.is_sent or known == said:
        return {}
    columns: dict[str, Any] = {
        "stage": what.stage,
        "message": what.message[:MESSAGE_LENGTH],
        "site_id": site_id,
        "started": what.started,
        "finished": what.finished,
        "outcome": what.outcome,
        "exit_code": what.exit_code,
    }
    if what.stage is not element.stage:
        columns[f"{what.stage}_at"] = now
    if Stage.QUEUED not in element.times:
        columns["queued_at"] = now
    ran = what.stage is Stage.RETURNING and what.started is not None
    if ran and Stage.RUNNING not in element.times:
        columns["running_at"] = now
    return columns
