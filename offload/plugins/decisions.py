"""What to do next about a pod. Pure: record, jobs, files and time come in as arguments.

Level-triggered: the same input gives the same answer however often it is asked, and
nothing depends on having seen an earlier state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from offload.interlink.status import Reason
from offload.plugins.executor import Job
from offload.plugins.facts import Facts
from offload.plugins.records import Ending, Record, Stage
from offload.plugins.states import Life, meaning

MISSES_UNTIL_LOST = 3
"""How often in a row the scheduler must not know a job before it counts as lost."""
SETTLE_S = {
    # The wrapper was not disturbed: its last word is on its way through a shared file
    # system.
    Reason.COMPLETED: 10.0,
    Reason.ERROR: 10.0,
    # Slurm may be about to put the job back into its queue.
    Reason.PREEMPTED: 3.0,
    Reason.NODE_FAIL: 3.0,
    Reason.BOOT_FAIL: 3.0,
}
"""How long after a job's end nothing is concluded from the absence of a result."""
_UNDISTURBED = frozenset({Reason.COMPLETED, Reason.ERROR})
NO_CLAIM = frozenset({"", "closed"})


@dataclass(frozen=True, slots=True)
class Seen:
    """What the scheduler said about the jobs of one pod.

    Args:
        jobs: All that bear its submission and task; more than one after a crash.
        history: What accounts say, if they were asked.
        is_complete: The query began after the last submission had ended, so that a
            job that is not in it does not exist.
    """

    jobs: Sequence[Job] = ()
    history: Job | None = None
    is_complete: bool = True


@dataclass(frozen=True, slots=True)
class Decision:
    """The record as it shall be, and what shall be done."""

    record: Record
    cancel: tuple[str, ...] = ()
    """Ids of jobs."""
    collect: Ending | None = None
    """Close the pod's folder in the name of a job that is dead."""
    is_unsettled: bool = False
    """Nobody knows of the job that was asked for: ask for it again."""
    asks_history: tuple[str, ...] = field(default=())
    """Jobs that the queue has forgotten."""


def decide(record: Record, seen: Seen, facts: Facts, now: float) -> Decision:
    """Return what follows for one pod."""
    match record.stage:
        case Stage.ENDED:
            return Decision(record)
        case Stage.ACCEPTED:
            return _accepted(record, now)
        case Stage.SUBMITTING:
            return _submitting(record, seen, facts, now)
        case Stage.SUBMITTED:
            return _submitted(record, seen, facts, now)


def _accepted(record: Record, now: float) -> Decision:
    if not record.is_unwanted:
        return Decision(record)
    ending = Ending(
        reason=Reason.CANCELLED, message="it was deleted before it was sent"
    )
    return Decision(_ended(record, now, ending))


def _submitting(record: Record, seen: Seen, facts: Facts, now: float) -> Decision:
    if seen.jobs or facts.allocation:
        return _submitted(record.changed(stage=Stage.SUBMITTED), seen, facts, now)
    if not seen.is_complete:
        return Decision(record)
    if record.is_unwanted:
        ending = Ending(reason=Reason.CANCELLED, message="it was deleted before it ran")
        return Decision(_ended(record, now, ending))
    return Decision(record, is_unsettled=True)


def _submitted(record: Record, seen: Seen, facts: Facts, now: float) -> Decision:
    job = choose(seen.jobs, facts)
    if job is None and seen.history is not None and seen.history.life is Life.ENDED:
        job = seen.history
    extra = [
        other.id
        for other in seen.jobs
        if other is not job and other.life is not Life.ENDED
    ]
    if job is None:
        return _missing(record, seen, facts, now)
    record = _noted(record, job, now)
    if job.life is not Life.ENDED:
        if record.is_unwanted:
            extra.append(job.id)
        return Decision(record, cancel=tuple(extra))
    if not job.nodes and _has_left_nothing(facts):
        return Decision(_ended(record, now, verdict_of(record)), cancel=tuple(extra))
    decision = _dead(record, facts, now)
    return Decision(decision.record, cancel=tuple(extra), collect=decision.collect)


def choose(jobs: Sequence[Job], facts: Facts) -> Job | None:
    """Return the job that has the pod, of several after a crash.

    The one that claimed it; else one that may still; the oldest of equals.
    """
    if not jobs:
        return None
    for job in jobs:
        if facts.allocation not in NO_CLAIM and job.allocation == facts.allocation:
            return job
    order = {Life.RUNNING: 0, Life.WAITING: 1, Life.ENDED: 2}
    return min(jobs, key=lambda job: (order[job.life], _number(job)))


def _number(job: Job) -> tuple[int, str]:
    head = job.id.partition("_")[0]
    return (int(head) if head.isdecimal() else 0, job.id)


def _noted(record: Record, job: Job, now: float) -> Record:
    is_same = (record.job, record.state, record.why) == (job.id, job.state, job.why)
    if is_same and not record.missed:
        return record
    state_at = record.state_at if record.state == job.state else now
    return record.changed(
        job=job.id, state=job.state, why=job.why, state_at=state_at, missed=0
    )


def _missing(record: Record, seen: Seen, facts: Facts, now: float) -> Decision:
    done = facts.done
    if done is not None and done.is_conclusive:
        return Decision(_ended(record, now, None))
    if not seen.is_complete:
        return Decision(record)
    if record.state and meaning(record.state).life is Life.ENDED:
        return _dead(record, facts, now)
    # Slurm keeps no trace of an array's element that is cancelled before it starts.
    is_waiting = not record.state or meaning(record.state).life is Life.WAITING
    has_never_run = is_waiting and _has_left_nothing(facts)
    if has_never_run and record.is_unwanted and record.state:
        return Decision(_ended(record, now, _missing_ending(record, has_never_run)))
    record = record.changed(missed=record.missed + 1)
    if record.missed < MISSES_UNTIL_LOST:
        asked = (record.job,) if record.job else ()
        return Decision(record, asks_history=asked)
    ending = _missing_ending(record, has_never_run)
    if done is not None or has_never_run:
        return Decision(_ended(record, now, ending))
    return Decision(record, collect=ending)


def _missing_ending(record: Record, has_never_run: bool) -> Ending:
    if record.is_unwanted:
        return Ending(reason=Reason.CANCELLED, message="it was deleted")
    if has_never_run and record.state:
        words = "somebody took it out of the queue before it ran"
        return Ending(reason=Reason.CANCELLED, message=words)
    words = "the scheduler has forgotten its job, which left no result"
    return Ending(reason=Reason.LOST, message=words)


def _has_left_nothing(facts: Facts) -> bool:
    return not facts.allocation and not facts.statuses and facts.done is None


def _dead(record: Record, facts: Facts, now: float) -> Decision:
    verdict = verdict_of(record)
    reason = meaning(record.state).reason or Reason.LOST
    if facts.done is not None:
        # A job that just ended or failed is what the wrapper has said better.
        is_clear = facts.done.is_conclusive or reason in _UNDISTURBED
        return Decision(_ended(record, now, None if is_clear else verdict))
    if now - record.state_at < SETTLE_S.get(reason, 0.0):
        return Decision(record)
    return Decision(record, collect=verdict)


def verdict_of(record: Record) -> Ending:
    """Return why the scheduler says that the job is over."""
    known = meaning(record.state, record.why)
    reason, words = known.reason or Reason.LOST, known.words
    if record.is_unwanted:
        reason, words = Reason.CANCELLED, "it was deleted"
    elif reason is Reason.COMPLETED:
        reason, words = Reason.LOST, "its job ended without leaving a result"
    return Ending(reason=reason, message=f"{words} (Slurm: {record.state})")


def _ended(record: Record, now: float, ending: Ending | None) -> Record:
    return record.changed(stage=Stage.ENDED, ended_at=now, ending=ending)
