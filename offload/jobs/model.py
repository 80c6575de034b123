"""A job as the ledger knows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NewType

from offload.jobs.errors import NoSuchJobError
from offload.jobs.specification import JobSpec
from offload.jobs.stages import ORDER, Outcome, Stage

JobId = NewType("JobId", int)
"""Counts from 1 in each person's ledger."""


MAIN = "main"
"""Name of the container that runs a job's command."""


@dataclass(frozen=True, slots=True)
class ElementName:
    """``42``, or ``42.7`` for one of many equal jobs."""

    job: JobId
    index: int | None = None

    def __str__(self) -> str:
        return str(self.job) if self.index is None else f"{self.job}.{self.index}"

    @classmethod
    def parse(cls, text: str) -> ElementName:
        """Read what a person typed.

        Raises:
            NoSuchJobError: it is no id.
        """
        number, dot, index = text.partition(".")
        plain = number.isdecimal() and (not dot or index.isdecimal())
        if not plain or not text.isascii() or len(text) > 30 or int(number) == 0:
            raise NoSuchJobError(
                f"{text[:40]!r}: expected the id of a job such as 42, or 42.7 for one "
                "of many; `facility jobs` lists them"
            )
        return cls(JobId(int(number)), int(index) if dot else None)


@dataclass(frozen=True, slots=True)
class Element:
    """One execution: a job has ``count`` of them, numbered from 0."""

    job: JobId
    index: int
    uid: str
    """The pod's; the site runs it at most once."""
    stage: Stage
    times: Mapping[Stage, float]
    """When it reached each stage from ``QUEUED`` on, in seconds since the epoch."""
    is_sent: bool = False
    """Whether the site may have been asked to run it."""
    is_removed: bool = False
    """Whether the site has confirmed that nothing of it is left running there."""
    is_cancelled: bool = False
    """Whether the person wants it to end."""
    site_id: str = ""
    """What the batch system calls it."""
    outcome: Outcome | None = None
    exit_code: int | None = None
    message: str = ""
    """Why it ended so, or what it waits for at the site."""
    started: float | None = None
    """When the site started the program."""
    finished: float | None = None
    """When the program ended there."""
    report: tuple[str, ...] = ()
    """What the person should know of what came back: conflicts, globs without match."""
    is_one_of_many: bool = False

    @property
    def name(self) -> ElementName:
        """``42``, or ``42.7`` for one of many."""
        return ElementName(self.job, self.index if self.is_one_of_many else None)


@dataclass(frozen=True, slots=True)
class Progress:
    """Bytes of a transfer."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Job:
    """One submission."""

    id: JobId
    group: str
    """UUID of the whole job."""
    spec: JobSpec
    image: str
    """Digest of the snapshot's manifest."""
    stage: Stage
    """The stage of the element that is least far."""
    times: Mapping[Stage, float]
    """When the first element reached the stage; for ``DONE``, the last."""
    counts: Mapping[Stage, int]
    """How many elements are at each stage."""
    outcomes: Mapping[Outcome, int] = field(default_factory=dict)
    """How many elements ended how."""
    site: str | None = None
    site_reason: str = ""
    """Why that site."""
    waiting: str = ""
    """What it waits for, in words; empty if it does not."""
    waiting_until: float | None = None
    """When that is looked at again, or ends, if known."""
    progress: Progress | None = None
    """Of what is moving to the site or home."""
    warnings: tuple[str, ...] = ()
    is_cancelled: bool = False
    """Whether the person wants it to end."""
    message: str = ""
    """Of an element that did not succeed: why."""
    elements: tuple[Element, ...] = ()
    """All of them, where they were asked for."""

    @property
    def is_done(self) -> bool:
        return self.stage is Stage.DONE

    @property
    def outcome(self) -> Outcome | None:
        """How it ended: the worst of its elements; ``None`` before."""
        if not self.is_done:
            return None
        return min(self.outcomes, key=_BADNESS.index)


_BADNESS = (
    Outcome.LOST,
    Outcome.NODE_FAILED,
    Outcome.REFUSED,
    Outcome.OUT_OF_MEMORY,
    Outcome.FAILED,
    Outcome.TIMED_OUT,
    Outcome.PREEMPTED,
    Outcome.CANCELLED,
    Outcome.SUCCEEDED,
)


def least_far(stages: Mapping[Stage, int]) -> Stage:
    """Return the earliest stage that has an element."""
    return min((s for s, n in stages.items() if n), key=ORDER.index)
