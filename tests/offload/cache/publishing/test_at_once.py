"""Images are made side by side: a small one does not wait for a large one."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from contextlib import closing
from datetime import timedelta

import pytest

from offload.cache.publishing.images import PUBLIC
from offload.cache.publishing.queue import Queue
from offload.cache.publishing.references import Reference
from offload.cache.publishing.work import State
from offload.cache.publishing.worker import Worker

OPEN = {PUBLIC: "1"}


@pytest.fixture
def worker(bench):
    # Time goes on, unlike in other tests: who waits for another looks again soon.
    bench.publisher._clock = time.time
    worker = Worker(
        bench.publisher, bench.queue, lambda: None, lambda: None, poll_s=3600
    )
    worker.start()
    yield worker
    bench.registry.let_go.set()
    worker.stop()


@pytest.fixture
def slow(bench, make_tar, make_image, monkeypatch):
    """An image of which a part does not come before it is let go."""
    layer = make_tar(("base", os.urandom(3 << 20)))
    image = make_image(layer, make_tar(("a", b"slow")), annotations=OPEN)
    bench.registry.let_go = threading.Event()
    bench.registry.has_begun = threading.Event()

    def came(size):
        if size == 1 << 20:
            bench.registry.has_begun.set()
            assert bench.registry.let_go.wait(60)

    monkeypatch.setattr(bench.registry, "came", came)
    image.base = layer
    return image


class Seen:
    """What becomes of names."""

    def __init__(self, bench, worker):
        self._bench = bench
        self._worker = worker

    def ask(self, image, tag):
        self._bench.registry.push("env", tag, image)
        reference = Reference("h", "env", tag)
        self._bench.queue.ask([reference], self._bench.publisher._clock())
        self._worker.wake()
        return reference

    def wait(self, reference):
        done = threading.Event()
        for _ in range(600):
            entry = self._bench.queue.entry(reference)
            if entry.state is not State.WAITING:
                return entry
            done.wait(0.05)
        raise AssertionError(f"{reference}: {entry}")


@pytest.fixture
def seen(bench, slow, worker):
    return Seen(bench, worker)


def test_a_small_image_does_not_wait_for_a_large_one(
    bench, seen, slow, make_tar, make_image
):
    first = seen.ask(slow, "slow")
    assert bench.registry.has_begun.wait(60)
    small = make_image(make_tar(("b", b"small")), annotations=OPEN)
    assert seen.wait(seen.ask(small, "small")).state is State.PUBLISHED
    assert bench.queue.entry(first).state is State.WAITING
    assert bench.shelf.images() == [small.digest]
    # Who collects meanwhile takes nothing away of what is being made.
    bench.repository.collect(1, timedelta(hours=1), wait_s=60)
    bench.registry.let_go.set()
    assert seen.wait(first).state is State.PUBLISHED
    assert set(bench.shelf.names()) == {first, Reference("h", "env", "small")}
    assert bench.tree(slow.digest)["a"] == b"slow"
    assert bench.tree(small.digest) == {"b": b"small"}


def test_what_two_need_is_made_once(
    bench, seen, slow, make_tar, make_image, monkeypatch
):
    other = make_image(slow.base, make_tar(("a", b"other")), annotations=OPEN)
    looks = {"same": threading.Semaphore(0), "other": threading.Semaphore(0)}
    manifest = bench.registry.manifest

    def looked_at(repository, version):
        if version in looks:
            looks[version].release()
        return manifest(repository, version)

    monkeypatch.setattr(bench.registry, "manifest", looked_at)
    first = seen.ask(slow, "slow")
    assert bench.registry.has_begun.wait(60)
    names = [seen.ask(slow, "same"), seen.ask(other, "other")]
    for look in looks.values():  # the second time says how the first one ended
        assert look.acquire(timeout=60)
        assert look.acquire(timeout=60)
    assert bench.shelf.images() == []
    bench.registry.let_go.set()
    assert {seen.wait(name).state for name in (first, *names)} == {State.PUBLISHED}
    fetched = Counter(bench.registry.fetched)
    layers = {digest for image in (slow, other) for digest in list(image.blobs)[1:]}
    assert len(layers) == 3
    assert [fetched[digest] for digest in layers] == [1, 1, 1]
    assert bench.tree(other.digest)["a"] == b"other"


def test_what_is_removed_at_once_meanwhile_is_made_again(bench, seen, slow):
    first = seen.ask(slow, "slow")
    assert bench.registry.has_begun.wait(60)
    bench.repository.collect(1, timedelta(), wait_s=60)
    bench.registry.let_go.set()
    assert seen.wait(first).state is State.PUBLISHED
    assert len(bench.tree(slow.digest)["base"]) == 3 << 20


def test_what_is_deleted_meanwhile_by_digest_loses_its_name(bench, seen, slow):
    first = seen.ask(slow, "slow")
    assert bench.registry.has_begun.wait(60)
    bench.registry.tags.clear()
    told = Reference("h", "env", slow.digest)
    bench.queue.ask([told], time.time())
    seen._worker.wake()
    assert seen.wait(told).state is State.GONE
    bench.registry.let_go.set()
    assert seen.wait(first).state is State.GONE
    assert bench.shelf.names() == {}


def test_who_is_killed_for_not_ending_soon_has_not_crashed(
    bench, seen, slow, worker, monkeypatch, tmp_path
):
    excused = threading.Event()
    excuse = bench.queue.excuse
    monkeypatch.setattr(bench.queue, "excuse", lambda: (excuse(), excused.set()))
    first = seen.ask(slow, "slow")
    assert bench.registry.has_begun.wait(60)
    threading.Thread(target=worker.stop).start()
    assert excused.wait(60)
    # The next process finds nothing that this one would have ended in the middle of.
    with closing(Queue(tmp_path / "queue.sqlite")) as queue:
        queue.recover(time.time())
        assert queue.take(time.time()).crashes == 0
    assert bench.queue.entry(first).state is State.WAITING
