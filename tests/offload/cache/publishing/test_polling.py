"""What no event told is found, and nothing is asked about that cannot have changed."""

from __future__ import annotations

import pytest

from facility.errors import FacilityError
from offload.cache.publishing.polling import Poll, repositories_of, worth_a_question
from offload.cache.publishing.queue import Queue
from offload.cache.publishing.references import Reference, Wish
from offload.cache.publishing.work import State

HEX = "ab" * 32
DIGEST = f"sha256:{HEX}"
OTHER = "sha256:" + "cd" * 32


class FakeRegistry:
    def __init__(self) -> None:
        self.now: dict[tuple[str, str], str] = {}
        self.asked: list[str] = []
        self.is_away = False

    def tags(self, repository):
        if self.is_away:
            raise FacilityError("away")
        return [tag for name, tag in self.now if name == repository]

    def digest(self, repository, tag):
        self.asked.append(tag)
        return self.now.get((repository, tag))


@pytest.fixture
def queue(tmp_path):
    queue = Queue(tmp_path / "queue")
    yield queue
    queue.close()


@pytest.fixture
def registry():
    return FakeRegistry()


def answer(queue, tag, digest, state=State.PUBLISHED, host="h"):
    queue.ask([Reference(host, "env", tag)], 1.0)
    queue.answer(queue.take(1.0), state, digest, 1.0, told=digest)


def asked(queue) -> list[str]:
    return [str(e.reference) for e in queue.entries() if e.due is not None]


def poll(queue, registry, *, named=(), wishes=()):
    return Poll(
        queue, {"h": registry}, {"h": list(named)}, [Wish.parse(w) for w in wishes]
    )


def test_new_tags_of_named_repositories_are_looked_at(queue, registry):
    registry.now = {("env", "a"): DIGEST, ("other", "b"): DIGEST}
    assert poll(queue, registry, named=["env"]).run(5.0) == 1
    assert asked(queue) == ["h/env:a"]


def test_of_a_repository_that_is_wished_for_only_those_tags(queue, registry):
    registry.now = {("env", "v1"): DIGEST, ("env", "w1"): DIGEST}
    poll(queue, registry, wishes=["h/env:v*"]).run(5.0)
    assert asked(queue) == ["h/env:v1"]


@pytest.mark.parametrize(
    ("state", "now", "is_looked_at"),
    [
        (State.PUBLISHED, DIGEST, False),
        (State.PUBLISHED, OTHER, True),
        (State.PUBLISHED, None, True),
        (State.REFUSED, DIGEST, False),
        (State.REFUSED, OTHER, True),
        (State.GONE, OTHER, True),
        (State.GONE, None, False),
    ],
)
def test_what_has_changed_is_looked_at_again(state, now, is_looked_at, queue, registry):
    answer(queue, "a", None if state is State.GONE else DIGEST, state)
    if now is not None:
        registry.now = {("env", "a"): now}
    poll(queue, registry).run(5.0)
    assert bool(asked(queue)) is is_looked_at


def test_a_tag_that_holds_its_digest_is_not_asked_about(queue, registry):
    answer(queue, f"snapshot-{HEX}", DIGEST)
    registry.now = {("env", f"snapshot-{HEX}"): DIGEST}
    assert poll(queue, registry, named=["env"]).run(5.0) == 0
    assert registry.asked == []


def test_what_waits_already_is_not_asked_for_again(queue, registry):
    queue.ask([Reference("h", "env", "a")], 1.0)
    registry.now = {("env", "a"): DIGEST}
    assert poll(queue, registry, named=["env"]).run(5.0) == 0


def test_a_registry_that_is_away_is_left_for_the_next_time(queue, registry):
    answer(queue, "a", DIGEST)
    registry.is_away = True
    assert poll(queue, registry).run(5.0) == 0
    assert asked(queue) == []


def test_repositories_that_once_told_of_a_push_count(queue):
    answer(queue, "a", DIGEST)
    answer(queue, "a", DIGEST, host="other")
    wishes = [Wish.parse("h/root:6.*"), Wish.parse("other/x:*")]
    found = repositories_of("h", ["named"], wishes, queue.entries())
    assert found == ["env", "named", "root"]


def test_tags_that_are_gone_are_looked_at(queue):
    answer(queue, "a", DIGEST)
    known = {e.reference.version: e for e in queue.entries()}
    assert worth_a_question(set(), known, is_meant={}) == (["a"], [])
