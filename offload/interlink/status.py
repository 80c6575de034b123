"""Typed views of ``v1.ContainerStatus``, and the phase that follows from them."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import ClassVar

from pydantic import AwareDatetime, Field

from offload.interlink.wire import KubernetesObject


class Phase(StrEnum):
    """Phase of a pod (Kubernetes API reference, "PodStatus")."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"

    @property
    def is_final(self) -> bool:
        return self in {Phase.SUCCEEDED, Phase.FAILED}


class Reason(StrEnum):
    """Why a container waits or has ended, as our plugins say it.

    Others' plugins have other words: a reason on the wire is any text.
    """

    # It waits.
    ACCEPTED = "Accepted"
    """Recorded by the plugin, not yet handed to the scheduler."""
    SUBMISSION_FAILED = "SubmissionFailed"
    """The scheduler refuses it for now; it is tried again."""
    QUEUED = "Queued"
    HELD = "Held"
    REQUEUED = "Requeued"
    """It ran, was taken off by the scheduler, and will run again."""
    CONFIGURING = "Configuring"
    """Its nodes are being made ready."""
    STARTING = "ContainerCreating"
    """Its files are being put in place."""
    INITIALIZING = "PodInitializing"
    """It waits for init containers."""
    SUSPENDED = "Suspended"
    # It has ended.
    COMPLETED = "Completed"
    ERROR = "Error"
    OOM_KILLED = "OOMKilled"
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    CANCELLED = "Cancelled"
    PREEMPTED = "Preempted"
    NODE_FAIL = "NodeFail"
    BOOT_FAIL = "BootFail"
    CANNOT_RUN = "ContainerCannotRun"
    """Its program, folder or files could not be set up."""
    REFUSED = "Refused"
    """The scheduler will never take it."""
    LOST = "Lost"
    """The scheduler has forgotten it and it left no exit code."""


class WaitingState(KubernetesObject):
    """The container waits; ``message`` says for what, in words."""

    reason: str = ""
    message: str = ""


class RunningState(KubernetesObject):
    """The container runs."""

    started_at: AwareDatetime | None = None


class TerminatedState(KubernetesObject):
    """The container has ended."""

    always_written: ClassVar[frozenset[str]] = frozenset({"exit_code"})

    exit_code: int = 0
    signal: int | None = None
    reason: str = ""
    message: str = ""
    """The termination message, or in words what ended it."""
    started_at: AwareDatetime | None = None
    finished_at: AwareDatetime | None = None


class ContainerState(KubernetesObject):
    """One of the three is given."""

    waiting: WaitingState | None = None
    running: RunningState | None = None
    terminated: TerminatedState | None = None


class ContainerStatus(KubernetesObject):
    """What a container does."""

    always_written: ClassVar[frozenset[str]] = frozenset(
        {"name", "ready", "restart_count", "image", "image_id"}
    )

    name: str
    state: ContainerState = Field(default_factory=ContainerState)
    last_state: ContainerState = Field(default_factory=ContainerState)
    ready: bool = False
    restart_count: int = 0
    image: str = ""
    image_id: str = Field(default="", alias="imageID")
    container_id: str = Field(default="", alias="containerID")
    started: bool | None = None


def phase(containers: Sequence[ContainerStatus]) -> Phase:
    """Return the phase of a pod that restarts nothing.

    All containers terminated: ``Succeeded``, or ``Failed`` if one exit code is not 0.
    Any of them running: ``Running``. Otherwise, a queued job above all, ``Pending``.
    """
    ended = [c.state.terminated for c in containers if c.state.terminated is not None]
    if containers and len(ended) == len(containers):
        is_failed = any(state.exit_code != 0 for state in ended)
        return Phase.FAILED if is_failed else Phase.SUCCEEDED
    if ended or any(c.state.running is not None for c in containers):
        return Phase.RUNNING
    return Phase.PENDING
