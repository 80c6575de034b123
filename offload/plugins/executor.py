"""What runs pods: the interface of executors."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from offload.interlink.extensions import SchedulerInfo
from offload.interlink.pod import Pod
from offload.plugins.records import Submission
from offload.plugins.states import Life, meaning


@dataclass(frozen=True, slots=True)
class Job:
    """One job (or one element of an array), as the scheduler has it now."""

    id: str
    """What it is cancelled by, and people know: ``123`` or ``123_4``."""
    allocation: str
    """How its wrapper signs the claim."""
    submission: str
    task: int
    state: str
    why: str = ""
    nodes: str = ""

    @property
    def life(self) -> Life:
        return meaning(self.state, self.why).life


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a site has, as far as the scheduler says."""

    cpus: int = 0
    memory_bytes: int = 0
    devices: dict[str, int] = field(default_factory=dict)
    """By full resource name."""
    scheduler: SchedulerInfo | None = None
    max_array_size: int = 1
    max_submit_jobs: int | None = None


class Executor(Protocol):
    """Runs pods. Every call may raise :class:`SchedulerError`."""

    tick_s: float
    """How often :meth:`queue` is worth asking."""
    has_own_allocations: bool
    """Whether a claim names one job, not all jobs of a machine."""

    async def start(self) -> None:
        """Find out what there is; raise a :class:`PluginError` if it cannot work."""

    async def close(self) -> None:
        """Let go of what is held here; jobs go on."""

    async def capacity(self) -> Capacity:
        """Return what the site has; may be some minutes old."""

    def options(self, pod: Pod) -> tuple[str, ...]:
        """Return how the pod's needs are said to the scheduler.

        Raises:
            ImpossibleRequestError: the site can never give what it asks for.
        """

    def script(self) -> str:
        """Return the batch script; it reads the file ``folders`` beside it."""

    async def queue(self) -> list[Job]:
        """Return every job of this plugin that the scheduler knows: one query."""

    async def history(self, ids: Collection[str], /) -> dict[str, Job]:
        """Return what is recorded of jobs that the queue has forgotten: one query."""

    async def submit(self, submission: Submission, folder: Path, /) -> tuple[str, ...]:
        """Ask the scheduler to take jobs; return their ids, by task.

        Raises:
            SchedulerRefusedError, SchedulerLimitError, SchedulerTryLaterError: it did
                not take them.
            SchedulerError: it may or may not have taken them.
        """

    async def cancel(self, ids: Sequence[str]) -> None:
        """Ask the scheduler to end jobs; those that have ended are no error."""
