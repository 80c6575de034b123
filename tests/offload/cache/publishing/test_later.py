"""What cannot be published now is tried again, and holds up nobody else."""

from __future__ import annotations

import os

import pytest

from offload.cache.cvmfs.storage import Storage
from offload.cache.errors import NoSpaceError
from offload.cache.publishing.errors import PublishingError
from offload.cache.publishing.images import PUBLIC, read_manifest
from offload.cache.publishing.references import Reference
from offload.cache.publishing.shelf import (
    remove_image,
    remove_layer,
    remove_name,
)
from offload.cache.publishing.work import State

OPEN = {PUBLIC: "1"}


def test_a_registry_that_is_away_is_asked_again(bench, make_tar, make_image):
    image = make_image(make_tar(("a", b"1")), annotations=OPEN)
    bench.registry.broken = PublishingError("cannot be reached")
    entry = bench.push(image)
    assert (entry.state, entry.detail) == (State.WAITING, "cannot be reached")
    bench.registry.broken = None
    bench.now = entry.due
    assert bench.publisher.step()
    assert bench.queue.entry(entry.reference).state is State.PUBLISHED


def test_a_full_disk_in_the_middle_publishes_nothing_and_is_tried_again(
    bench, make_tar, make_image, monkeypatch
):
    image = make_image(
        make_tar(*((f"{n}", os.urandom(50)) for n in range(200))), annotations=OPEN
    )
    write, left = Storage.write, [90]

    def full(self, place, data, **options):
        left[0] -= 1
        if left[0] < 0:
            raise NoSpaceError("the repository's disk is full; nothing was published")
        write(self, place, data, **options)

    monkeypatch.setattr(Storage, "write", full)
    entry = bench.push(image)
    assert (entry.state, bench.revision) == (State.WAITING, 1)
    assert "disk is full" in entry.detail
    monkeypatch.undo()
    bench.now = entry.due
    assert bench.publisher.step()
    assert (bench.queue.entry(entry.reference).state, bench.revision) == (
        State.PUBLISHED,
        2,
    )


@pytest.mark.parametrize("is_new", [True, False])
def test_an_event_that_is_earlier_than_its_tag_waits_for_it(
    is_new, bench, make_tar, make_image
):
    old, new = (
        make_image(make_tar(("a", text)), annotations=OPEN) for text in (b"1", b"2")
    )
    if not is_new:
        bench.push(old)
    reference = Reference("h", "env", "v1")
    bench.queue.ask([reference], bench.now, expected=new.digest)
    assert bench.publisher.step()
    assert not bench.publisher.step()
    assert bench.queue.entry(reference).state is State.WAITING
    bench.registry.push("env", "v1", new)
    bench.now = bench.queue.entry(reference).due
    assert bench.publisher.step()
    assert bench.queue.entry(reference).state is State.PUBLISHED
    assert bench.shelf.meaning(reference) == new.digest


def test_after_a_while_the_registry_is_believed(bench, make_tar, make_image):
    image = make_image(make_tar(("a", b"1")), annotations=OPEN)
    bench.registry.push("env", "v1", image)
    reference = Reference("h", "env", "v1")
    bench.queue.ask([reference], bench.now, expected=f"sha256:{'a' * 64}")
    for _ in range(200):
        bench.now = bench.queue.entry(reference).due or bench.now
        bench.publisher.step()
        if bench.queue.entry(reference).due is None:
            break
    assert bench.queue.entry(reference).state is State.PUBLISHED
    assert bench.now < 1010


def test_an_image_that_is_collected_while_it_gets_a_name_is_made_again(
    bench, make_tar, make_image, monkeypatch
):
    image = make_image(make_tar(("a", b"1")), annotations=OPEN)
    first = bench.push(image).reference
    transaction = bench.repository.transaction

    def late(**options):
        monkeypatch.undo()
        with transaction() as change:
            remove_name(change, first)
            remove_image(change, image.digest)
            for blob in read_manifest(image.manifest, "amd64").layers:
                remove_layer(change, blob.digest)
            change.commit()
        return transaction(**options)

    monkeypatch.setattr(bench.repository, "transaction", late)
    assert bench.push(image, tag="v2").state is State.PUBLISHED
    assert bench.tree(image.digest) == {"a": b"1"}


def test_an_error_of_ours_holds_up_nobody_else(bench, make_tar, make_image):
    bench.registry.broken = ZeroDivisionError("not thought of")
    image = make_image(make_tar(("a", b"1")), annotations=OPEN)
    entry = bench.push(image, tag="bad")
    assert entry.state is State.WAITING
    assert "ZeroDivisionError" in entry.detail
    bench.registry.broken = None
    assert bench.push(image, tag="good").state is State.PUBLISHED


def test_what_came_wrong_is_tried_again_not_refused(bench, make_tar, make_image):
    image = make_image(make_tar(("a", os.urandom(1000))), annotations=OPEN)
    _, layer = image.blobs
    right = image.blobs[layer]
    image.blobs[layer] = b"x" * len(right)
    entry = bench.push(image)
    assert (entry.state, bench.revision) == (State.WAITING, 1)
    bench.registry.blobs[layer] = right
    bench.now = entry.due
    assert bench.publisher.step()
    assert bench.queue.entry(entry.reference).state is State.PUBLISHED
