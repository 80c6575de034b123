"""What ends the publisher cannot keep it down, under whatever name it comes again."""

from __future__ import annotations

import pytest

from offload.cache.publishing.images import PUBLIC
from offload.cache.publishing.references import Reference
from offload.cache.publishing.work import CRASHES_COUNT_S, MOST_CRASHES, State

OPEN = {PUBLIC: "1"}


def crash(bench, reference, times=MOST_CRASHES):
    """The publisher ends so often, in the middle of what the name means."""
    for _ in range(times):
        bench.now = bench.queue.entry(reference).due
        with pytest.raises(KeyboardInterrupt):  # as a kill: nothing is written
            bench.publisher.step()
        bench.queue.recover(bench.now)
    bench.now = bench.queue.entry(reference).due


@pytest.fixture
def bad(bench, make_tar, make_image, monkeypatch):
    """An image that ends the publisher when anything of it comes."""
    image = make_image(make_tar(("a", b"bad")), annotations=OPEN)
    image.is_bad = True
    fetch = bench.registry.fetch

    def end(repository, blob, *rest):
        if blob.digest in image.blobs and image.is_bad:
            raise KeyboardInterrupt
        fetch(repository, blob, *rest)

    monkeypatch.setattr(bench.registry, "fetch", end)
    return image


def ask(bench, image, tag):
    reference = Reference("h", "env", tag)
    bench.registry.push("env", tag, image)
    bench.queue.ask([reference], bench.now)
    return reference


def test_an_image_that_ends_the_publisher_each_time_is_set_aside(
    bench, bad, make_tar, make_image
):
    good = make_image(make_tar(("a", b"good")), annotations=OPEN)
    reference = ask(bench, bad, "bad")
    crash(bench, reference, 1)
    bench.now -= 1
    assert bench.push(good, tag="good").state is State.PUBLISHED
    crash(bench, reference, MOST_CRASHES - 1)
    assert bench.publisher.step()
    entry = bench.queue.entry(reference)
    assert (entry.state, entry.told) == (State.REFUSED, bad.digest)
    assert f"ended {MOST_CRASHES} times" in entry.detail
    assert "\n" not in entry.detail


def test_pushing_it_again_does_not_begin_anew(bench, bad):
    crash(bench, ask(bench, bad, "v1"))
    for tag in ("v1", "v2", "other"):
        assert bench.push(bad, tag=tag).state is State.REFUSED
    bench.now += CRASHES_COUNT_S + 1
    bad.is_bad = False
    assert bench.push(bad, tag="v1").state is State.PUBLISHED


def test_who_runs_the_publisher_can_have_it_tried_again(bench, bad):
    reference = ask(bench, bad, "v1")
    crash(bench, reference)
    assert bench.publisher.step()
    bad.is_bad = False
    assert bench.push(bad).state is State.REFUSED
    bench.queue.forgive(reference)
    assert bench.push(bad).state is State.PUBLISHED


def test_what_cannot_even_be_looked_at_is_counted_by_name(bench, make_tar, make_image):
    good = make_image(make_tar(("a", b"1")), annotations=OPEN)
    reference = ask(bench, good, "v1")
    bench.registry.broken = KeyboardInterrupt()
    crash(bench, reference)
    bench.registry.broken = None
    assert bench.publisher.step()
    assert bench.queue.entry(reference).state is State.REFUSED
    # What it means has another name.
    assert bench.push(good, tag="v2").state is State.PUBLISHED
