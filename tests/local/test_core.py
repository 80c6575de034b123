"""The supervisor's decisions, without processes and clocks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facility.local import core
from facility.local.core import (
    Adopt,
    Answered,
    Begin,
    Due,
    End,
    Exited,
    Finish,
    Phase,
    ProcessState,
    Silent,
    Start,
    StopAsked,
    Supervision,
    Sweep,
    Swept,
    Wake,
)

NAMES = ("proxy", "hub", "gateway")


def begun(alive=frozenset(), after=None):
    supervision = Supervision(NAMES, after or {})
    supervision.handle(Begin(0.0, frozenset(alive)))
    return supervision


def ready():
    supervision = begun()
    for name in NAMES:
        supervision.handle(Answered(1.0, name))
    return supervision


def test_all_are_started_at_once():
    actions = Supervision(NAMES).handle(Begin(0.0))
    assert actions == [Start("proxy"), Start("hub"), Start("gateway")]


def test_the_living_are_adopted_and_the_others_started():
    actions = Supervision(NAMES).handle(Begin(0.0, frozenset({"hub"})))
    assert actions == [Start("proxy"), Adopt("hub"), Start("gateway")]


def test_ready_when_each_has_answered_once():
    supervision = begun()
    supervision.handle(Answered(1.0, "hub"))
    supervision.handle(Answered(2.0, "proxy"))
    assert supervision.phase is Phase.STARTING
    supervision.handle(Answered(3.0, "gateway"))
    assert supervision.phase is Phase.READY
    assert supervision.records["hub"].first_ready == 1.0


def test_one_that_comes_after_another_waits_for_its_first_answer_only():
    supervision = Supervision(NAMES, {"gateway": "hub"})
    assert supervision.handle(Begin(0.0)) == [Start("proxy"), Start("hub")]
    assert supervision.handle(Answered(1.0, "proxy")) == []
    assert supervision.handle(Answered(1.0, "hub")) == [Start("gateway")]
    supervision.handle(Answered(2.0, "gateway"))
    supervision.handle(Exited(3.0, "hub", "killed"))
    supervision.handle(Due(3.2, "hub"))
    assert supervision.handle(Answered(4.0, "hub")) == []


def test_a_killed_process_comes_back():
    supervision = ready()
    assert supervision.handle(Exited(50.0, "hub", "killed by SIGKILL")) == [
        Wake("hub", core.SHORTEST_S)
    ]
    assert supervision.records["hub"].state is ProcessState.WAITING
    assert supervision.handle(Due(50.2, "hub")) == [Start("hub")]
    assert supervision.records["hub"].restarts == 1
    assert supervision.phase is Phase.READY


@pytest.mark.parametrize(
    ("failures", "delay"),
    [(1, 0.2), (2, 0.4), (3, 0.8), (4, 1.6), (8, 25.6), (9, 30.0), (500, 30.0)],
)
def test_the_delay_doubles_up_to_a_limit(failures, delay):
    assert core.delay_s(failures) == pytest.approx(delay)


def test_delays_grow_while_it_fails_and_reset_after_a_steady_time():
    supervision = ready()
    at = 100.0
    delays = []
    for _ in range(3):
        (wake,) = supervision.handle(Exited(at, "hub", "exit status 1"))
        delays.append(wake.delay_s)
        supervision.handle(Due(at, "hub"))
        supervision.handle(Answered(at, "hub"))
        at += core.STEADY_S / 2
    assert delays == pytest.approx([0.2, 0.4, 0.8])
    at += core.STEADY_S
    (wake,) = supervision.handle(Exited(at, "hub", "exit status 1"))
    assert wake.delay_s == pytest.approx(0.2)


def test_a_process_that_never_comes_up_ends_the_first_start():
    supervision = begun()
    supervision.handle(Answered(1.0, "proxy"))
    for _ in range(core.ATTEMPTS - 1):
        actions = supervision.handle(Exited(2.0, "hub", "exit status 1"))
        assert [type(a) for a in actions] == [Wake]
        supervision.handle(Due(2.0, "hub"))
    actions = supervision.handle(Exited(3.0, "hub", "exit status 1"))
    assert actions == [End("proxy"), End("gateway")]
    assert supervision.error == "hub failed 4 times: exit status 1"


def test_after_the_first_start_it_never_gives_up():
    supervision = ready()
    for round_ in range(200):
        (wake,) = supervision.handle(Exited(float(round_), "hub", "exit status 1"))
        assert isinstance(wake, Wake)
        assert supervision.handle(Due(float(round_), "hub")) == [Start("hub")]
    assert supervision.phase is Phase.READY


def test_a_silent_process_is_ended_and_then_started_again():
    supervision = ready()
    assert supervision.handle(Silent(90.0, "gateway")) == [End("gateway")]
    (wake,) = supervision.handle(Exited(91.0, "gateway", "killed by SIGKILL"))
    assert wake.name == "gateway"


def test_stop_ends_all_then_sweeps_then_finishes():
    supervision = ready()
    assert supervision.handle(StopAsked(5.0)) == [End(name) for name in NAMES]
    assert supervision.handle(Exited(6.0, "hub", "exit status 0")) == []
    assert supervision.handle(Exited(6.0, "proxy", "exit status 0")) == []
    assert supervision.handle(Exited(6.0, "gateway", "exit status 0")) == [Sweep()]
    assert supervision.handle(Swept(7.0)) == [Finish()]
    assert supervision.phase is Phase.STOPPED


def test_nothing_is_started_again_while_stopping():
    supervision = ready()
    supervision.handle(Exited(4.0, "hub", "killed by SIGKILL"))
    supervision.handle(StopAsked(5.0))
    assert supervision.handle(Due(5.1, "hub")) == []
    assert supervision.records["hub"].state is ProcessState.STOPPED


def test_stop_with_nothing_running_sweeps_at_once():
    supervision = Supervision(("hub",))
    supervision.handle(Begin(0.0))
    supervision.handle(Exited(1.0, "hub", "exit status 1"))
    assert supervision.handle(StopAsked(2.0)) == [Sweep()]


def test_stop_twice_is_stop_once():
    supervision = ready()
    supervision.handle(StopAsked(5.0))
    assert supervision.handle(StopAsked(5.1)) == []


STEPS = st.lists(
    st.tuples(st.sampled_from(["answer", "exit", "silent", "wait", "stop"]),
              st.sampled_from(NAMES), st.floats(0, 100)),
    max_size=60,
)  # fmt: skip


class World:
    """Processes that obey the supervisor, and the invariants of every action."""

    def __init__(self) -> None:
        self.supervision = Supervision(NAMES, {"gateway": "hub"})
        self.at = 0.0
        self.running: set[str] = set()
        self.due: set[str] = set()
        self.swept = False
        self.finished = False

    def send(self, event_type, *details):
        for action in self.supervision.handle(event_type(self.at, *details)):
            self._obey(action)

    def _obey(self, action):
        match action:
            case Start(name) | Adopt(name):
                assert name not in self.running
                assert not self.swept
                self.running.add(name)
            case Wake(name, delay):
                assert 0 < delay <= core.LONGEST_S
                self.due.add(name)
            case End(name):
                assert name in self.running
            case Sweep():
                assert not self.running
                self.swept = True
            case Finish():
                self.finished = True

    def exit(self, name):
        self.running.discard(name)
        self.send(Exited, name, "exit status 1")

    def step(self, kind, name):
        match kind:
            case "answer" if name in self.running:
                self.send(Answered, name)
            case "silent" if name in self.running:
                self.send(Silent, name)
            case "exit" if name in self.running:
                self.exit(name)
            case "wait" if name in self.due:
                self.due.discard(name)
                self.send(Due, name)
            case "stop":
                self.send(StopAsked)


@given(STEPS)
def test_whatever_happens_it_starts_only_what_does_not_run_and_stops(steps):
    world = World()
    world.send(Begin, frozenset({"proxy"}))
    for kind, name, passed in steps:
        world.at += passed
        world.step(kind, name)
    world.send(StopAsked)
    for name in sorted(world.running):
        world.exit(name)
    assert world.swept
    world.send(Swept)
    assert world.finished
