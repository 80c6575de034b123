"""What the supervisor does next: events in, actions out. No I/O, no clock.

A process that ends is started again after a delay that doubles with each failure in a
row. One that was ready for ``STEADY_S`` starts from the shortest delay again. During
the first start of the facility, ``ATTEMPTS`` failures of one process end everything:
a person is waiting and should read why.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import assert_never

SHORTEST_S = 0.2
LONGEST_S = 30.0
STEADY_S = 20.0
ATTEMPTS = 4


class Phase(StrEnum):
    """The facility as a whole."""

    STARTING = "starting"
    READY = "ready"
    """Every process has answered once. Restarts later do not change it."""
    STOPPING = "stopping"
    STOPPED = "stopped"


class ProcessState(StrEnum):
    """One supervised process."""

    STARTING = "starting"
    READY = "ready"
    WAITING = "waiting"
    """Not started yet, or ended and to be started again."""
    STOPPING = "stopping"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Begin:
    """The supervisor runs; these processes of its predecessor live."""

    at: float
    alive: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Answered:
    """The process answers requests."""

    at: float
    name: str


@dataclass(frozen=True, slots=True)
class Silent:
    """The process runs but has not answered for too long."""

    at: float
    name: str


@dataclass(frozen=True, slots=True)
class Exited:
    """The process has ended, or could not be started."""

    at: float
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Due:
    """The delay of a process is over."""

    at: float
    name: str


@dataclass(frozen=True, slots=True)
class StopAsked:
    """A person or the system wants everything to end."""

    at: float


@dataclass(frozen=True, slots=True)
class Swept:
    """Nothing that bears the facility's mark is left."""

    at: float


Event = Begin | Answered | Silent | Exited | Due | StopAsked | Swept


@dataclass(frozen=True, slots=True)
class Start:
    """Start the process and tell when it answers or ends."""

    name: str


@dataclass(frozen=True, slots=True)
class Adopt:
    """Watch the process of the predecessor, as if we had started it."""

    name: str


@dataclass(frozen=True, slots=True)
class Wake:
    """Say :class:`Due` after the delay."""

    name: str
    delay_s: float


@dataclass(frozen=True, slots=True)
class End:
    """SIGTERM, then SIGKILL."""

    name: str


@dataclass(frozen=True, slots=True)
class Sweep:
    """End whatever else bears the mark: servers, schedulers, workers."""


@dataclass(frozen=True, slots=True)
class Finish:
    """Leave."""


Action = Start | Adopt | Wake | End | Sweep | Finish


@dataclass(slots=True)
class Record:
    """What is known of one process. Times on the clock of the events."""

    state: ProcessState = ProcessState.STOPPED
    since: float = 0.0
    restarts: int = 0
    """Over its whole life."""
    failures: int = 0
    """In a row."""
    first_ready: float | None = None
    error: str = ""
    """Why it ended the last time."""


@dataclass(slots=True)
class Supervision:
    """All records and the phase."""

    names: tuple[str, ...]
    after: Mapping[str, str] = field(default_factory=dict)
    """Who is started only once somebody else is ready for the first time."""
    phase: Phase = Phase.STARTING
    error: str = ""
    """Why the facility gave up, empty if it did not."""
    records: dict[str, Record] = field(init=False)

    def __post_init__(self) -> None:
        self.records = {name: Record() for name in self.names}

    def handle(self, event: Event) -> list[Action]:
        """Take in one event and return what must be done."""
        match event:
            case Begin():
                return list(self._begin(event))
            case Answered():
                return list(self._answered(event))
            case Silent():
                return self._silent(event)
            case Exited():
                return list(self._exited(event))
            case Due():
                return self._due(event)
            case StopAsked():
                return list(self._stop(event.at))
            case Swept():
                self.phase = Phase.STOPPED
                return [Finish()]
        assert_never(event)

    def _begin(self, event: Begin) -> Iterable[Action]:
        for name in self.names:
            if name not in event.alive and name in self.after:
                self._enter(name, ProcessState.WAITING, event.at)
                continue
            self._enter(name, ProcessState.STARTING, event.at)
            yield Adopt(name) if name in event.alive else Start(name)

    def _answered(self, event: Answered) -> Iterable[Action]:
        record = self.records[event.name]
        if record.state is not ProcessState.STARTING:
            return
        self._enter(event.name, ProcessState.READY, event.at)
        if record.first_ready is None:
            record.first_ready = event.at
            for name, other in self.after.items():
                if (
                    other == event.name
                    and self.records[name].state is ProcessState.WAITING
                ):
                    self._enter(name, ProcessState.STARTING, event.at)
                    yield Start(name)
        if self.phase is Phase.STARTING and all(
            r.first_ready is not None for r in self.records.values()
        ):
            self.phase = Phase.READY

    def _silent(self, event: Silent) -> list[Action]:
        record = self.records[event.name]
        if record.state not in {ProcessState.STARTING, ProcessState.READY}:
            return []
        return [End(event.name)]

    def _exited(self, event: Exited) -> Iterable[Action]:
        record = self.records[event.name]
        if self.phase is Phase.STOPPING:
            self._enter(event.name, ProcessState.STOPPED, event.at)
            if all(r.state is ProcessState.STOPPED for r in self.records.values()):
                yield Sweep()
            return
        was_steady = (
            record.state is ProcessState.READY and event.at - record.since >= STEADY_S
        )
        record.failures = 1 if was_steady else record.failures + 1
        record.error = event.reason
        self._enter(event.name, ProcessState.WAITING, event.at)
        if self.phase is Phase.STARTING and record.failures >= ATTEMPTS:
            self.error = f"{event.name} failed {record.failures} times: {event.reason}"
            yield from self._stop(event.at)
            return
        yield Wake(event.name, delay_s(record.failures))

    def _due(self, event: Due) -> list[Action]:
        record = self.records[event.name]
        if record.state is not ProcessState.WAITING or self.phase is Phase.STOPPING:
            return []
        record.restarts += 1
        self._enter(event.name, ProcessState.STARTING, event.at)
        return [Start(event.name)]

    def _stop(self, at: float) -> Iterable[Action]:
        if self.phase in {Phase.STOPPING, Phase.STOPPED}:
            return
        self.phase = Phase.STOPPING
        running = [
            name
            for name, record in self.records.items()
            if record.state in {ProcessState.STARTING, ProcessState.READY}
        ]
        for name in self.names:
            if name in running:
                self._enter(name, ProcessState.STOPPING, at)
                yield End(name)
            else:
                self._enter(name, ProcessState.STOPPED, at)
        if not running:
            yield Sweep()

    def _enter(self, name: str, state: ProcessState, at: float) -> None:
        self.records[name].state = state
        self.records[name].since = at


def delay_s(failures: int) -> float:
    """Return the delay in seconds before the start after so many failures in a row."""
    return min(LONGEST_S, SHORTEST_S * 2.0 ** min(failures - 1, 16))
