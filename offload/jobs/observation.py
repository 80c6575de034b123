"""What a site's word about a pod means for the job. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from offload.interlink import (
    ContainerStatus,
    Phase,
    PodStatus,
    Reason,
    TerminatedState,
)
from offload.jobs.changes import Observed
from offload.jobs.stages import Outcome, Stage

_OUTCOMES = {
    Reason.COMPLETED: Outcome.SUCCEEDED,
    Reason.ERROR: Outcome.FAILED,
    Reason.OOM_KILLED: Outcome.OUT_OF_MEMORY,
    Reason.DEADLINE_EXCEEDED: Outcome.TIMED_OUT,
    Reason.CANCELLED: Outcome.CANCELLED,
    Reason.PREEMPTED: Outcome.PREEMPTED,
    Reason.NODE_FAIL: Outcome.NODE_FAILED,
    Reason.BOOT_FAIL: Outcome.NODE_FAILED,
    Reason.CANNOT_RUN: Outcome.FAILED,
    Reason.REFUSED: Outcome.REFUSED,
    Reason.LOST: Outcome.LOST,
}

_WORDS = {
    Outcome.OUT_OF_MEMORY: "it needed more memory than it asked for",
    Outcome.TIMED_OUT: "its time was over",
    Outcome.CANCELLED: "cancelled",
    Outcome.PREEMPTED: "the site gave its resources to another job",
    Outcome.NODE_FAILED: "the machine under it failed",
}


def observed(status: PodStatus) -> Observed:
    """Return the stage, and if it has ended the outcome with its message."""
    everything = (*status.init_containers, *status.containers)
    match status.phase:
        case Phase.PENDING:
            return Observed(
                Stage.QUEUED, site_id=status.jid, message=_waiting(everything)
            )
        case Phase.RUNNING:
            return Observed(
                Stage.RUNNING, site_id=status.jid, started=_started(everything)
            )
        case Phase.SUCCEEDED | Phase.FAILED:
            return _ended(status, everything)


def _waiting(containers: Iterable[ContainerStatus]) -> str:
    for container in containers:
        waiting = container.state.waiting
        if waiting is not None and (waiting.reason or waiting.message):
            return waiting.message or waiting.reason
    return ""


def _started(containers: Iterable[ContainerStatus]) -> float | None:
    times = []
    for container in containers:
        state = container.state.running or container.state.terminated
        if state is not None and state.started_at is not None:
            times.append(state.started_at.timestamp())
    return min(times, default=None)


def _ended(status: PodStatus, containers: Iterable[ContainerStatus]) -> Observed:
    ends = [
        (c.name, c.state.terminated)
        for c in containers
        if c.state.terminated is not None
    ]
    bad = [(name, end) for name, end in ends if end.exit_code != 0]
    name, decisive = (bad or ends)[0]
    outcome = _outcome(decisive)
    finished = [end.finished_at.timestamp() for _, end in ends if end.finished_at]
    return Observed(
        Stage.RETURNING,
        site_id=status.jid,
        outcome=outcome,
        exit_code=decisive.exit_code,
        message=_message(outcome, decisive, name if len(ends) > 1 else ""),
        started=_started(containers),
        finished=max(finished, default=None),
    )


def _outcome(end: TerminatedState) -> Outcome:
    by_code = Outcome.SUCCEEDED if end.exit_code == 0 else Outcome.FAILED
    try:
        outcome = _OUTCOMES.get(Reason(end.reason), by_code)
    except ValueError:  # another plugin's word
        return by_code
    # Somebody's exit code is a fact, a plugin's "Completed" is not.
    return by_code if outcome is Outcome.SUCCEEDED else outcome


def _message(outcome: Outcome, end: TerminatedState, container: str) -> str:
    if outcome is Outcome.SUCCEEDED:
        return end.message
    said = end.message or _WORDS.get(outcome, "")
    code = f"exit code {end.exit_code}"
    if outcome is Outcome.FAILED:
        said = f"{code}: {said}" if said else code
    return f"container {container}: {said}" if container and said else said
