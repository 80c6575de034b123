"""Names wait their turn, durably, and each request is answered once."""

import os
import signal
import sqlite3
import stat
import subprocess
import sys
from contextlib import contextmanager

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from offload.cache.errors import NoSpaceError
from offload.cache.publishing.queue import Queue
from offload.cache.publishing.references import Reference
from offload.cache.publishing.work import CRASHES_COUNT_S, LONGEST_S, State, delay_s

A, B, C = (Reference("h", "env", tag) for tag in "abc")
IMAGE = "sha256:" + "0" * 64


@pytest.fixture
def queue(tmp_path):
    queue = Queue(tmp_path / "queue.sqlite")
    yield queue
    queue.close()


def test_the_longest_due_comes_first(queue):
    queue.ask([B], 1.0)
    queue.ask([A], 2.0)
    assert queue.take(0.5) is None
    assert queue.next_due() == 1.0
    work = queue.take(5.0)
    assert work.reference == B
    assert queue.next_due() == 2.0
    assert queue.take(5.0).reference == A
    assert queue.take(5.0) is None
    queue.answer(work, State.PUBLISHED, IMAGE, 5.0)
    assert queue.take(5.0) is None


def test_what_became_of_it_and_cannot_be_written_is_tried_again(queue, monkeypatch):
    queue.ask([A], 1.0)

    def full():
        raise NoSpaceError("the disk is full")

    for write in (queue.postpone, queue.answer):
        work = queue.take(2.0)
        monkeypatch.setattr(queue, "_write", full)
        arguments = (2.0, "") if write == queue.postpone else (State.GONE, None, 2.0)
        with pytest.raises(NoSpaceError):
            write(work, *arguments)
        monkeypatch.undo()
    assert queue.take(2.0).reference == A


def test_who_cannot_write_that_he_takes_it_does_not_keep_it(queue, monkeypatch):
    queue.ask([A], 1.0)
    write = queue._write

    @contextmanager
    def full():  # SQLite finds out last
        with write() as connection:
            yield connection
        raise NoSpaceError("the disk is full")

    monkeypatch.setattr(queue, "_write", full)
    with pytest.raises(NoSpaceError):
        queue.take(2.0)
    monkeypatch.undo()
    assert queue.take(2.0).reference == A


def test_who_is_told_to_end_and_is_killed_then_has_not_crashed(queue):
    queue.ask([A, B], 1.0)
    queue.begin(queue.take(2.0), IMAGE, 2.0)
    queue.take(2.0)
    queue.excuse()
    queue.recover(3.0)
    assert [queue.take(3.0).crashes for _ in (A, B)] == [0, 0]


def test_ten_requests_before_its_turn_are_one(queue):
    for n in range(10):
        queue.ask([A], float(n))
    queue.answer(queue.take(10.0), State.PUBLISHED, IMAGE, 10.0)
    assert queue.take(99.0) is None
    assert queue.entry(A).state is State.PUBLISHED


def test_a_request_during_the_work_is_answered_once_more(queue):
    queue.ask([A], 1.0)
    work = queue.take(1.0)
    queue.ask([A], 2.0)
    queue.ask([A], 3.0)
    queue.answer(work, State.PUBLISHED, IMAGE, 4.0)
    assert queue.entry(A).state is State.WAITING
    queue.answer(queue.take(5.0), State.PUBLISHED, IMAGE, 5.0)
    assert queue.take(99.0) is None


def test_what_fails_is_tried_again_ever_later(queue):
    queue.ask([A], 0.0)
    waits = []
    now = 0.0
    for _ in range(14):
        queue.postpone(queue.take(now), now, "away")
        entry = queue.entry(A)
        waits.append(entry.due - now)
        now = entry.due
    assert (entry.state, entry.detail, entry.failures) == (State.WAITING, "away", 14)
    assert waits[0] < 2
    assert waits[-1] > LONGEST_S / 2
    assert queue.take(now - 0.01) is None
    queue.ask([A], now - 0.01)  # a new push does not wait for the old failure's turn
    assert queue.take(now).failures == 0


def test_a_request_during_a_failure_is_not_delayed(queue):
    queue.ask([A], 0.0)
    work = queue.take(0.0)
    queue.ask([A], 1.0)
    queue.postpone(work, 2.0, "away")
    assert queue.take(2.0).reference == A


@pytest.mark.parametrize("chance", [0.0, 1.0])
def test_delays_are_bounded(chance):
    assert all(0 < delay_s(n, chance) <= LONGEST_S * 1.25 for n in range(1, 2000))


def test_what_a_crash_interrupted_lets_all_others_go_first(queue):
    queue.ask([A], 0.0)
    waits = []
    now = 0.0
    for crashes in range(5):
        queue.ask([B], now)
        work = queue.take(now)
        assert (work.reference, work.crashes) == (A, crashes)
        queue.recover(now)  # as after a start
        other = queue.take(now)
        assert other.reference == B
        queue.answer(other, State.PUBLISHED, IMAGE, now)
        assert queue.take(now) is None
        waits.append(queue.entry(A).due - now)
        now = queue.entry(A).due
    assert waits == sorted(waits)
    assert waits[-1] > 10
    assert "ended while it worked on it" in queue.entry(A).detail
    queue.answer(queue.take(now), State.PUBLISHED, IMAGE, now)
    queue.ask([A], now)  # that time it came to an end
    assert queue.take(now).crashes == 0


def test_a_new_request_does_not_forget_the_crashes_but_a_day_does(queue):
    queue.ask([A], 0.0)
    queue.take(0.0)
    queue.recover(0.0)
    for now, crashes in ((10.0, 1), (CRASHES_COUNT_S + 1, 0)):
        queue.ask([A], now)
        work = queue.take(now)
        assert work.crashes == crashes
        queue.look_again(work, now)


def test_crashes_count_for_the_image_under_any_name(queue):
    queue.ask([A], 0.0)
    assert queue.begin(queue.take(0.0), IMAGE, 0.0) == 0
    queue.recover(0.0)
    queue.ask([B], 0.1)
    queue.ask([C], 0.2, expected=IMAGE)
    work = queue.take(0.3)
    assert (work.reference, work.crashes) == (B, 0)
    assert queue.begin(work, IMAGE, 0.3) == 1
    assert queue.take(0.3) is None
    queue.look_again(work, 999.0)
    work = queue.take(0.3)
    assert (work.reference, work.crashes) == (C, 1)
    queue.recover(0.3)
    queue.forgive(C)
    queue.ask([C], 0.4, expected=IMAGE)
    assert queue.take(0.5).crashes == 0


def test_what_has_ended_the_publisher_is_worked_on_alone(queue):
    queue.ask([A], 0.0)
    queue.take(0.0)
    queue.recover(0.0)
    queue.ask([B], 0.0)
    other = queue.take(100.0)
    assert other.reference == B
    queue.ask([C], 0.5)
    assert queue.take(100.0).reference == C  # it is not due for longer
    queue.recover(100.0)
    bad = queue.take(999.0)
    assert bad.crashes == 1
    queue.ask([Reference("h", "env", "d")], 0.0)
    assert queue.take(999.0) is None
    queue.answer(bad, State.PUBLISHED, IMAGE, 999.0)
    good = queue.take(999.0)
    assert good.crashes == 0
    assert queue.take(999.0) is None
    queue.answer(good, State.PUBLISHED, IMAGE, 999.0)
    assert queue.take(999.0).crashes == 1


@pytest.mark.parametrize(
    ("version", "changes"),
    [
        (1, ["DROP COLUMN held", "DROP COLUMN working"]),
        (
            2,
            ["DROP COLUMN working", "ADD COLUMN crashes INTEGER NOT NULL DEFAULT 0"],
        ),
    ],
)
def test_a_file_of_an_earlier_version_is_brought_up(version, changes, tmp_path):
    queue = Queue(tmp_path / "q")
    queue.ask([A], 0.0)
    queue.close()
    with sqlite3.connect(tmp_path / "q") as connection:
        for change in changes:
            connection.execute(f"ALTER TABLE names {change}")
        connection.execute("DROP TABLE crashes")
        connection.execute(f"PRAGMA user_version={version}")
    connection.close()
    queue = Queue(tmp_path / "q")
    queue.ask([B], 1.0)
    assert queue.begin(queue.take(1.0), IMAGE, 1.0) == 0
    queue.recover(1.0)
    assert queue.take(1.0).reference == B
    queue.close()


def test_names_of_an_image(queue):
    queue.ask([A, B, C], 0.0)
    for reference, image in ((A, IMAGE), (B, IMAGE), (C, None)):
        work = next(w for w in iter(lambda: queue.take(0.0), None) if w)
        assert work.reference == reference
        queue.answer(work, State.PUBLISHED if image else State.GONE, image, 0.0)
    assert [e.reference for e in queue.entries(IMAGE)] == [A, B]
    queue.forget([A], 0.0)  # somebody has asked for it since
    assert [e.reference for e in queue.entries()] == [A, B, C]
    queue.forget([A], 1.0)
    assert [e.reference for e in queue.entries()] == [B, C]
    assert queue.next_due() is None


def test_the_file_is_private(queue, tmp_path):
    assert stat.S_IMODE((tmp_path / "queue.sqlite").stat().st_mode) == 0o600


_ASK = """
import sys, time
from pathlib import Path
from offload.cache.errors import NoSpaceError
from offload.cache.publishing.queue import Queue
from offload.cache.publishing.references import Reference
queue = Queue(Path(sys.argv[1]))
for n in range(100_000):
    queue.ask([Reference("h", "env", f"t{n}")], float(n))
    print(n, flush=True)
"""


def test_what_was_acknowledged_survives_a_kill(tmp_path):
    path = tmp_path / "queue.sqlite"
    asking = subprocess.Popen(
        [sys.executable, "-c", _ASK, path], stdout=subprocess.PIPE, text=True
    )
    for _ in range(20):
        acknowledged = int(asking.stdout.readline())
    os.kill(asking.pid, signal.SIGKILL)
    rest = asking.stdout.read().split()
    asking.wait()
    asking.stdout.close()
    acknowledged = max([acknowledged, *map(int, rest)])
    queue = Queue(path)
    known = {entry.reference.version for entry in queue.entries()}
    queue.close()
    assert {f"t{n}" for n in range(acknowledged + 1)} <= known
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


class QueueMachine(RuleBasedStateMachine):
    """Whatever happens in between, no request is left without an answer after it."""

    @initialize()
    def begin(self):
        import tempfile
        from pathlib import Path

        self._folder = tempfile.TemporaryDirectory()
        self._path = Path(self._folder.name) / "q"
        self.queue = Queue(self._path)
        self.now = 0.0
        self.unanswered: dict[Reference, bool] = {}
        self.work = None

    @rule(reference=st.sampled_from([A, B, C]))
    def ask(self, reference):
        self.now += 1
        self.queue.ask([reference], self.now)
        self.unanswered[reference] = True

    @precondition(lambda self: self.work is None)
    @rule()
    def take(self):
        self.now += 1000
        self.work = self.queue.take(self.now)
        if self.work is None:
            assert not any(self.unanswered.values())
        else:
            assert self.unanswered[self.work.reference]
            self.unanswered[self.work.reference] = False

    @precondition(lambda self: self.work is not None)
    @rule()
    def answer(self):
        self.queue.answer(self.work, State.PUBLISHED, IMAGE, self.now)
        self.work = None

    @precondition(lambda self: self.work is not None)
    @rule()
    def fail(self):
        self.queue.postpone(self.work, self.now, "away")
        self.unanswered[self.work.reference] = True
        self.work = None

    @rule()
    def crash(self):
        """The process ends: what it held is due as before."""
        if self.work is not None:
            self.unanswered[self.work.reference] = True
            self.work = None
        self.queue.close()
        self.queue = Queue(self._path)
        self.queue.recover(self.now)

    @invariant()
    def every_open_request_is_due(self):
        if not hasattr(self, "queue"):
            return
        due = {e.reference for e in self.queue.entries() if e.due is not None}
        assert {r for r, is_open in self.unanswered.items() if is_open} <= due

    def teardown(self):
        if hasattr(self, "queue"):
            self.queue.close()
            self._folder.cleanup()


QueueMachine.TestCase.settings = settings(
    max_examples=10, stateful_step_count=20, deadline=None
)
TestQueue = QueueMachine.TestCase


def test_a_clock_that_is_set_back_holds_nothing_up(queue):
    year_s = 365 * 86400.0
    queue.ask([A], year_s)
    queue.postpone(queue.take(year_s), year_s, "away")
    assert queue.take(0.0).reference == A
