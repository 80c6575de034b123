"""A pod's status, from what the plugin, the scheduler and the wrapper say."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from offload.interlink.messages import PodStatus
from offload.interlink.pod import Container, Pod
from offload.interlink.status import (
    ContainerState,
    ContainerStatus,
    Reason,
    RunningState,
    TerminatedState,
    WaitingState,
)
from offload.plugins.facts import STOPPED_CODES, TERMINATED, Facts
from offload.plugins.records import Ending, Record, Stage
from offload.plugins.states import Life, Meaning, meaning

NEVER_RAN = 128
"""Exit code of a container that was never started, as Kubernetes gives it."""
KILLED = 137
_OPEN_REASONS = frozenset({TERMINATED, "Error", "Lost"})
"""Of a container's end, reasons that the scheduler's own word makes clearer."""


def pod_status(
    pod: Pod, record: Record, facts: Facts, *, is_put_back: bool = False
) -> PodStatus:
    """Return what a pod does.

    Args:
        pod: The pod.
        record: What the plugin knows.
        facts: What the wrapper wrote.
        is_put_back: The scheduler said what the record has after the job had begun: a
            job that waits now has been taken off its nodes.
    """

    def of(containers: Iterable[Container]) -> tuple[ContainerStatus, ...]:
        return tuple(_status(c, record, facts, is_put_back) for c in containers)

    status = PodStatus(
        name=record.name,
        uid=record.uid,
        namespace=record.namespace,
        jid=record.job,
        containers=of(pod.spec.containers),
        init_containers=of(pod.spec.init_containers),
    )
    if status.phase.is_final and not is_final(record, facts):
        # The outputs are still being packed: a pod that has ended has them ready.
        return status.model_copy(
            update={
                "containers": _unfinished(status.containers),
                "init_containers": _unfinished(status.init_containers),
            }
        )
    return status


def is_final(record: Record, facts: Facts) -> bool:
    """Whether the pod's status will not change any more."""
    if record.stage is Stage.ENDED:
        return True
    return facts.done is not None and facts.done.is_conclusive


def _status(
    container: Container,
    record: Record,
    facts: Facts,
    is_put_back: bool,
) -> ContainerStatus:
    if is_final(record, facts):
        return _last_status(container, record, facts)
    if record.stage is not Stage.SUBMITTED:
        return _waiting(container, *_words_before_submission(record))
    known = facts.statuses.get(container.name)
    if not record.state and known is None:
        return _waiting(container, Reason.QUEUED, "the scheduler has taken it")
    now = meaning(record.state, record.why)
    if now.life is Life.WAITING and (is_put_back or known is None):
        return _queued(container, now, facts, known)
    if known is not None:
        return _still_open(known)
    return _waiting(container, Reason.STARTING, "its files are being put in place")


def _unfinished(statuses: Iterable[ContainerStatus]) -> tuple[ContainerStatus, ...]:
    return tuple(
        status
        if (end := status.state.terminated) is None
        else status.model_copy(
            update={
                "state": ContainerState(running=RunningState(started_at=end.started_at))
            }
        )
        for status in statuses
    )


def _words_before_submission(record: Record) -> tuple[Reason, str]:
    if record.refusal:
        words = f"the scheduler did not take it, it is tried again: {record.refusal}"
        return Reason.SUBMISSION_FAILED, words
    return Reason.ACCEPTED, "it is about to be handed to the scheduler"


def _queued(
    container: Container, now: Meaning, facts: Facts, known: ContainerStatus | None
) -> ContainerStatus:
    reason = now.reason or Reason.QUEUED
    if known is None or not facts.allocation:
        return _waiting(container, reason, now.words)
    # It ran before, and the scheduler has put it back: the pod stays the same.
    before = known.state.terminated or TerminatedState(
        exit_code=KILLED,
        reason=Reason.PREEMPTED,
        message="the scheduler put it back into the queue",
        started_at=known.state.running.started_at if known.state.running else None,
    )
    if reason is Reason.QUEUED:
        reason = Reason.REQUEUED
    return _waiting(
        container, reason, f"it ran and was put back: {now.words}"
    ).model_copy(
        update={
            "last_state": ContainerState(terminated=before),
            "restart_count": facts.attempt + 1,
        }
    )


def _waiting(container: Container, reason: Reason, words: str) -> ContainerStatus:
    return ContainerStatus(
        name=container.name,
        image=container.image,
        state=ContainerState(waiting=WaitingState(reason=reason, message=words)),
    )


def _still_open(known: ContainerStatus) -> ContainerStatus:
    end = known.state.terminated
    is_stopped = end is not None and end.reason == TERMINATED
    was_killed = end is not None and end.exit_code in STOPPED_CODES
    if end is None or not (is_stopped or (was_killed and end.reason in _OPEN_REASONS)):
        return known
    # Why, and whether it will begin again, only the scheduler can say: until it has,
    # the container is shown as it was.
    running = RunningState(started_at=end.started_at)
    return known.model_copy(update={"state": ContainerState(running=running)})


def _last_status(container: Container, record: Record, facts: Facts) -> ContainerStatus:
    statuses = facts.done.statuses if facts.done is not None else facts.statuses
    known = statuses.get(container.name)
    ending = record.ending
    end = known.state.terminated if known is not None else None
    if known is not None and end is not None:
        if ending is None or end.reason not in _OPEN_REASONS:
            return known
        clearer = end.model_copy(
            update={
                "reason": ending.reason,
                "message": end.message or ending.message,
                "exit_code": end.exit_code or KILLED,
            }
        )
        return known.model_copy(update={"state": ContainerState(terminated=clearer)})
    if ending is None:
        # An init container failed: those after it never began, and wait for ever.
        return known or _waiting(
            container, Reason.INITIALIZING, "an init container failed"
        )
    return _closed(container, ending, record)


def _closed(container: Container, ending: Ending, record: Record) -> ContainerStatus:
    finished = datetime.fromtimestamp(int(record.ended_at), UTC)
    return ContainerStatus(
        name=container.name,
        image=container.image,
        state=ContainerState(
            terminated=TerminatedState(
                exit_code=NEVER_RAN,
                reason=ending.reason,
                message=ending.message,
                finished_at=finished,
            )
        ),
    )
