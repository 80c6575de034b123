"""What came for an image stays as long as it is needed, and no longer."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from types import SimpleNamespace

import pytest

from offload.cache.publishing.errors import MissingImageError
from offload.cache.publishing.images import PUBLIC
from offload.cache.publishing.inbox import Inbox
from offload.cache.publishing.intake import take_image
from offload.cache.publishing.publisher import Publisher
from offload.cache.publishing.references import Reference
from offload.cache.publishing.work import State
from offload.snapshot.model import Blob
from offload.snapshot.store.local import LocalStore
from offload.snapshot.store.writing import BlobWriter

OPEN = {PUBLIC: "1"}


@pytest.fixture
def busy(bench, monkeypatch):
    """Others begin to work with the store while something is written to it."""
    write = BlobWriter.write

    def slowly(self, data):
        with LocalStore(bench.store.path).in_use():
            write(self, data)

    monkeypatch.setattr(BlobWriter, "write", slowly)


def test_what_is_handed_over_is_not_cleared_away(bench, busy, tmp_path, make_image):
    image = make_image(annotations=OPEN)
    inbox = Inbox(bench.store, tmp_path / "in", 10**9, bench.shelf.has_layer)
    for digest, data in image.blobs.items():
        incoming = inbox.incoming(Blob(digest, len(data)), "anna")
        incoming.append(0, data)
        incoming.commit()
    inbox.take(image.manifest, image.digest, "amd64")
    assert bench.store.has(image.digest)


def test_what_another_image_waits_for_is_left(bench, tmp_path, make_tar, make_image):
    """Two images that were handed over, of the same configuration."""
    first = make_image(make_tar(("a", b"1")), annotations=OPEN)
    second = make_image(make_tar(("a", b"1")), annotations=OPEN | {"x": "y"})
    inbox = Inbox(bench.store, tmp_path / "in", 10**9, bench.shelf.has_layer)
    for image in (first, second):
        for digest, data in image.blobs.items():
            incoming = inbox.incoming(Blob(digest, len(data)), "anna")
            if incoming.offset == 0:
                incoming.append(0, data)
            incoming.commit()
        inbox.take(image.manifest, image.digest, "amd64")
        bench.registry.tags["env", image.digest] = image.manifest
        bench.queue.ask([Reference("h", "env", image.digest)], bench.now)
    assert bench.publisher.step()
    assert {first.digest, second.digest} & set(bench.shelf.images())
    assert bench.publisher.step()
    assert bench.registry.fetched == []
    assert not list(bench.store.digests())


def test_what_is_fetched_is_not_cleared_away(bench, busy, make_tar, make_image):
    image = make_image(make_tar(("a", b"1")), annotations=OPEN)
    assert bench.push(image).state is State.PUBLISHED


def test_nothing_is_left_of_what_was_published_when_the_publisher_was_killed(
    bench, make_tar, make_image, monkeypatch
):
    image = make_image(make_tar(("a", b"1")), annotations=OPEN)
    bench.registry.push("env", "v1", image)
    reference = Reference("h", "env", "v1")
    bench.queue.ask([reference], bench.now)

    def end(*_args, **_more):
        raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr(bench.queue, "answer", end)
        with pytest.raises(KeyboardInterrupt):
            bench.publisher.step()
    assert image.digest in bench.shelf.images()
    assert not list(bench.store.digests())
    bench.queue.recover(bench.now)
    bench.now = bench.queue.entry(reference).due
    assert bench.publisher.step()
    assert bench.queue.entry(reference).state is State.PUBLISHED
    assert not list(bench.store.digests())


def test_what_is_handed_over_while_another_is_over_is_told_what_is_missing(
    bench, tmp_path, make_image, monkeypatch
):
    """It comes between the look at what waits and the clearing."""
    first, second = make_image(), make_image(annotations=OPEN)  # the first is refused
    inbox = Inbox(bench.store, tmp_path / "in", 10**9, lambda _: False)
    desk = SimpleNamespace(
        inbox=inbox, queue=bench.queue, settings=SimpleNamespace(architecture="amd64")
    )
    for digest, data in (first.blobs | second.blobs).items():
        incoming = inbox.incoming(Blob(digest, len(data)), "anna")
        incoming.append(0, data)
        incoming.commit()
    publisher = Publisher(
        bench.shelf, bench.queue, bench.store, {"h": bench.registry}, [], "amd64",
        tmp_path, lambda: bench.now, still=inbox.still,
    )  # fmt: skip
    bench.registry.push("env", "v1", first)
    bench.queue.ask([Reference("h", "env", "v1")], bench.now)
    waiting = bench.queue.waiting
    with ThreadPoolExecutor(1) as pool:
        handed_over = []

        def others_come():
            found = waiting()
            if not handed_over:
                arguments = desk, second.manifest, second.digest
                handed_over.append(pool.submit(take_image, *arguments))
                wait(handed_over, 0.2)
            return found

        monkeypatch.setattr(bench.queue, "waiting", others_come)
        assert publisher.step()
        with pytest.raises(MissingImageError):
            handed_over[0].result()
