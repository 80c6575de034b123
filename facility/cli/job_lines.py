"""A job in lines of text and as JSON: what it is, how far, and what it waits for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from facility.text import duration, moment, shown

if TYPE_CHECKING:
    from offload.jobs.model import Element, Job


def stage_lines(job: Job) -> Iterator[tuple[str, str]]:
    """Yield each stage that is reached, with the time that the one before took."""
    before: float | None = None
    for stage, at in sorted(job.times.items(), key=lambda item: item[1]):
        took = "" if before is None else f"+{duration(at - before)}"
        note = ""
        if stage.value == "placed" and job.site:
            note = (
                f"{job.site}: {shown(job.site_reason)}" if job.site_reason else job.site
            )
        elif stage.value == "done":
            note = outcome_words(job)
        clock = moment(at, at)
        yield stage.value, f"{stage.value:12} {clock} {took:>10}  {note}".rstrip()
        before = at


def outcome_words(job: Job) -> str:
    """Say how a job ended: ``succeeded``, or ``3 of 10 failed: exit code 1``."""
    if job.outcome is None:
        return ""
    word = job.outcome.value.replace("_", " ")
    count = job.spec.count
    if count > 1:
        parts = [f"{n} {o.value.replace('_', ' ')}" for o, n in job.outcomes.items()]
        word = f"{', '.join(sorted(parts))} of {count}"
    says_more = job.message not in {"", word}
    return f"{word}: {shown(job.message)}" if says_more else word


def state_words(job: Job) -> str:
    """Say in two or three words where a job is."""
    if job.is_done:
        return outcome_words(job).partition(":")[0]
    if job.is_cancelled:
        return f"cancelling ({job.stage.value})"
    if job.spec.count > 1:
        parts = [f"{n} {s.value}" for s, n in job.counts.items() if n]
        return ", ".join(parts)
    return job.stage.value


def waiting_line(job: Job, now: float) -> str:
    """Say what a job waits for, and until when if that is known; empty if nothing."""
    if not job.waiting or job.is_done:
        return ""
    if job.waiting_until is None or job.waiting_until <= now:
        return f"waiting: {shown(job.waiting)}"
    return f"waiting: {shown(job.waiting)} (until {moment(job.waiting_until, now)})"


def job_json(job: Job) -> dict[str, Any]:
    """Return a job for programs. Times in seconds since the epoch."""
    spec = job.spec
    return {
        "id": str(job.id),
        "name": spec.title,
        "command": list(spec.command),
        "notebook": spec.notebook,
        "root": str(spec.root),
        "cwd": str(spec.cwd),
        "site": job.site,
        "site_reason": job.site_reason,
        "image": job.image,
        "count": spec.count,
        "stage": job.stage.value,
        "times": {stage.value: at for stage, at in job.times.items()},
        "counts": {stage.value: n for stage, n in job.counts.items()},
        "outcome": None if job.outcome is None else job.outcome.value,
        "outcomes": {outcome.value: n for outcome, n in job.outcomes.items()},
        "waiting": job.waiting,
        "waiting_until": job.waiting_until,
        "message": job.message,
        "warnings": list(job.warnings),
        "elements": [element_json(element) for element in job.elements],
    }


def element_json(element: Element) -> dict[str, Any]:
    """Return one execution for programs."""
    return {
        "index": element.index,
        "uid": element.uid,
        "stage": element.stage.value,
        "site_id": element.site_id,
        "outcome": None if element.outcome is None else element.outcome.value,
        "exit_code": element.exit_code,
        "message": element.message,
        "started": element.started,
        "finished": element.finished,
        "report": list(element.report),
    }
