"""What is to be done next for a job: a pure function of what the ledger says.

Level-triggered: it looks at how things are, not at what happened, so whoever was
killed in between decides the same again. Every action may be done twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from offload.jobs.model import Element, Job, JobId
from offload.jobs.stages import BEFORE_SITE, Outcome, Stage


@dataclass(frozen=True, slots=True)
class Store:
    """Put the snapshot into the facility's store."""


@dataclass(frozen=True, slots=True)
class Place:
    """Choose a site."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """Send what the site lacks of the snapshot."""

    site: str


@dataclass(frozen=True, slots=True)
class Create:
    """Ask the site to run these elements."""

    site: str
    indexes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class End:
    """Ask the site to end these elements; their outputs still come back."""

    site: str
    indexes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Make sure that the site runs none of these, and be done with them.

    Nobody knows whether the site has heard of them.
    """

    site: str
    indexes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Return:
    """Fetch outputs and logs of one element and put them in place."""

    site: str
    index: int


@dataclass(frozen=True, slots=True)
class Remove:
    """Have the site forget these elements, and confirm it."""

    site: str
    indexes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Finish:
    """Record that these elements are done without having been at a site."""

    indexes: tuple[int, ...]
    outcome: Outcome
    message: str


@dataclass(frozen=True, slots=True)
class Await:
    """Record what the job waits for."""

    words: str


@dataclass(frozen=True, slots=True)
class Close:
    """Record that nothing is left to do."""


Action = (
    Store | Place | Transfer | Create | End | Withdraw | Return | Remove | Finish
    | Await | Close
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class View:
    """What is decided on."""

    job: Job
    elements: Sequence[Element]
    """Those with something left to do, by index."""
    before: Mapping[JobId, Job] = field(default_factory=dict)
    """The jobs that it comes after."""

    @property
    def indexes(self) -> tuple[int, ...]:
        return _indexes(self.elements)

    def those(self, indexes: Iterable[int]) -> list[Element]:
        """Return the elements of these indexes."""
        wanted = frozenset(indexes)
        return [e for e in self.elements if e.index in wanted]


def decide(view: View) -> list[Action]:
    """Return what is to be done now; all of it can be done at once."""
    if not view.elements:
        return [Close()]
    actions: list[Action] = []
    site = view.job.site
    not_there = [e for e in view.elements if e.stage in BEFORE_SITE]
    dropped = _indexes(e for e in not_there if e.is_cancelled and not e.is_sent)
    if dropped:
        actions.append(
            Finish(dropped, Outcome.CANCELLED, "cancelled before it was sent")
        )
    waiting = [e for e in not_there if e.is_sent or not e.is_cancelled]
    if waiting:
        actions += _toward_site(view, waiting)
    if site is None:
        return actions
    cancelled = _indexes(
        e
        for e in view.elements
        if e.is_cancelled and e.stage in {Stage.QUEUED, Stage.RUNNING}
    )
    if cancelled:
        actions.append(End(site, cancelled))
    actions += [
        Return(site, e.index) for e in view.elements if e.stage is Stage.RETURNING
    ]
    done = _indexes(e for e in view.elements if e.stage is Stage.DONE)
    if done:
        actions.append(Remove(site, done))
    return actions


def _toward_site(view: View, waiting: Sequence[Element]) -> list[Action]:
    site = view.job.site
    match waiting[0].stage:
        case Stage.FROZEN:
            return _after_others(view, waiting)
        case Stage.STORED:
            return [Place()]
        case Stage.PLACED:
            assert site is not None
            return [Transfer(site)]
    assert site is not None
    unsure = _indexes(e for e in waiting if e.is_cancelled)
    wanted = _indexes(e for e in waiting if not e.is_cancelled)
    actions: list[Action] = []
    if unsure:
        actions.append(Withdraw(site, unsure))
    if wanted:
        actions.append(Create(site, wanted))
    return actions


def _after_others(view: View, waiting: Sequence[Element]) -> list[Action]:
    for job in view.before.values():
        if job.is_done and job.outcome is not Outcome.SUCCEEDED:
            return [
                Finish(
                    _indexes(waiting),
                    Outcome.CANCELLED,
                    f"job {job.id}, which it comes after, ended: {job.outcome}",
                )
            ]
    pending = [str(j.id) for j in view.before.values() if not j.is_done]
    if pending:
        return [Await(f"comes after job {', '.join(pending)}")]
    return [Store()]


def _indexes(elements: Iterable[Element]) -> tuple[int, ...]:
    return tuple(e.index for e in elements)
