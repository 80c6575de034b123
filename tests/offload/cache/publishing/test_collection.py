"""Nothing that is referred to is removed; all else is, after the grace period."""

from __future__ import annotations

import random
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path

import pytest

from offload.cache.cvmfs.keys import Keys
from offload.cache.cvmfs.objects import content_of
from offload.cache.cvmfs.repository import Repository
from offload.cache.publishing.collection import (
    Collector,
    forgotten_names,
    unreferenced,
)
from offload.cache.publishing.images import PUBLIC
from offload.cache.publishing.inbox import Inbox
from offload.cache.publishing.pins import Pins
from offload.cache.publishing.publisher import Publisher
from offload.cache.publishing.queue import Queue
from offload.cache.publishing.references import INBOX, Reference
from offload.cache.publishing.service import _rollback
from offload.cache.publishing.shelf import Shelf, remove_name
from offload.cache.publishing.sources import InboxSource, inbox_reference
from offload.cache.publishing.work import State
from offload.snapshot.model import Blob
from offload.snapshot.store.local import LocalStore

FQRN = "images.example.org"
IMAGES = [f"sha256:{n:064x}" for n in range(4)]
GRACE_S = 100.0
RETENTION_S = 1000.0


def test_names_of_registries_are_theirs_to_delete():
    names = {
        Reference("h", "env", "v1"): IMAGES[0],
        inbox_reference(IMAGES[1]): IMAGES[1],
    }
    assert forgotten_names(names, (), (), 10**9, 0.0) == [inbox_reference(IMAGES[1])]
    assert forgotten_names(names, (), {IMAGES[1]}, 10**9, 0.0) == []


def test_what_a_name_or_a_pin_leads_to_is_referenced():
    assert unreferenced(IMAGES, {IMAGES[0]}, {IMAGES[2]}) == [IMAGES[1], IMAGES[3]]


class World:
    """A publisher with an inbox, whose process may end at any moment, and a clock."""

    def __init__(self, folder: Path, keys: Keys, make_tar, make_image) -> None:
        self.folder = folder
        self.keys = keys
        self.now = 1_000_000.0
        Repository(folder / "repository", FQRN, keys, clock=self.clock).create()
        self.images = [
            make_image(
                make_tar(("base", b"%d" % (n % 2))),
                make_tar(("own", b"%d" % n)),
                annotations={PUBLIC: "1"},
            )
            for n in range(6)
        ]
        self.start()

    def clock(self) -> datetime:
        return datetime.fromtimestamp(self.now, UTC)

    def start(self) -> None:
        self.repository = Repository(
            self.folder / "repository", FQRN, self.keys, clock=self.clock
        ).open()
        self.shelf = Shelf(self.repository, "amd64")
        self.queue = Queue(self.folder / "queue")
        self.pins = Pins(self.folder / "pins", lambda: self.now)
        store = LocalStore(self.folder / "store")
        self.inbox = Inbox(store, self.folder / "incoming", 10**9, self.shelf.has_layer)
        self.publisher = Publisher(
            self.shelf,
            self.queue,
            store,
            {INBOX: InboxSource(store, self.shelf.manifest)},
            (),
            "amd64",
            self.folder,
            lambda: self.now,
        )
        self.collector = self.collector_of(revisions=2)

    def collector_of(self, revisions: int) -> Collector:
        return Collector(
            self.shelf,
            self.queue,
            self.pins,
            retention_s=RETENTION_S,
            grace_s=GRACE_S,
            revisions=revisions,
        )

    def stop(self) -> None:
        self.queue.close()
        self.pins.close()

    def publish(self, image) -> None:
        wanted = [Blob(digest, len(data)) for digest, data in image.blobs.items()]
        for digest, _ in self.inbox.missing(wanted, "anna"):
            incoming = self.inbox.incoming(
                Blob(digest, len(image.blobs[digest])), "anna"
            )
            incoming.append(0, image.blobs[digest])
            incoming.commit()
        self.inbox.take(image.manifest, image.digest, "amd64")
        self.queue.ask([inbox_reference(image.digest)], self.now, image=image.digest)
        while self.publisher.step():
            pass

    def check(self) -> None:
        """Every image that there is can be read to its last byte."""
        space = self.repository.namespace()
        for image in self.images:
            if self.shelf.has_image(image.digest):
                name = image.digest.removeprefix("sha256:")
                top = f"/.flat/{name[:2]}/{name}".encode()
                paths = set()
                for path, row in space.walk(top):
                    paths.add(path[len(top) + 1 :])
                    for each in row.objects():
                        place = self.repository.public / each.path
                        content_of(each, place.read_bytes())
                assert paths == {b"base", b"own"}
        for manifest in self.shelf.names().values():
            assert self.shelf.has_image(manifest)
        for manifest in self.known:
            assert self.shelf.has_image(manifest)

    known: frozenset[str] = frozenset()
    """Images that are kept; each was published when that began."""
    leased: Collection[str] = frozenset()
    leased_until = 0.0


def steps(world: World, seed: int, count: int) -> None:
    """Do so many things at random; look after each."""
    chance = random.Random(seed)
    known: set[str] = set()
    for _ in range(count):
        image = chance.choice(world.images)
        match chance.choice(
            [
                "publish",
                "pin",
                "unpin",
                "lease",
                "remove",
                "gc",
                "dry",
                "crash",
                "wait",
                "wait",
            ]
        ):
            case "publish":
                world.publish(image)
                reference = inbox_reference(image.digest)
                assert world.queue.entry(reference).state is State.PUBLISHED
            case "pin":
                if world.shelf.has_image(image.digest):
                    world.pins.add("anna", "job", image.digest)
                    known.add(image.digest)
            case "unpin":
                world.pins.remove("anna", "job", image.digest)
                known.discard(image.digest)
            case "lease":
                kept = [i.digest for i in chance.sample(world.images, 2)]
                world.leased = {i for i in kept if world.shelf.has_image(i)}
                world.leased_until = world.now + chance.choice([1.0, 2 * RETENTION_S])
                world.pins.lease("anna", "ledger", world.leased, world.leased_until)
            case "remove":
                name = inbox_reference(image.digest)
                if world.shelf.meaning(name) is not None:
                    with world.repository.transaction() as change:
                        remove_name(change, name)
                        change.commit()
            case "gc":
                world.collector.collect(world.now)
            case "dry":
                before = world.repository.head()
                world.collector.collect(world.now, dry_run=True)
                assert world.repository.head() == before
            case "crash":
                world.stop()
                world.start()
            case "wait":
                world.now += chance.choice([1.0, GRACE_S / 2, GRACE_S, RETENTION_S])
        is_leased = world.now < world.leased_until
        world.known = frozenset(known | (world.leased if is_leased else set()))
        assert world.pins.images() == world.known
        world.check()


@pytest.fixture(scope="session")
def keys() -> Keys:
    return Keys.generate(FQRN, datetime.now(UTC))


@pytest.fixture
def world(tmp_path, keys, make_tar, make_image):
    world = World(tmp_path, keys, make_tar, make_image)
    yield world
    world.stop()


def test_nothing_that_is_referred_to_is_ever_missing_and_the_rest_goes(world):
    steps(world, 1, 40)
    _all_goes(world)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(10))
def test_the_same_for_ten_thousand_steps(seed, world):
    steps(world, seed, 1000)
    _all_goes(world)


def _all_goes(world: World) -> None:
    for image in world.images:
        world.pins.remove("anna", "job", image.digest)
    world.pins.lease("anna", "ledger", (), world.now)
    # One can roll back to no earlier revision: they would have the images.
    collector = world.collector_of(revisions=1)
    for _ in range(6):
        world.now += RETENTION_S + GRACE_S + 1
        collector.collect(world.now)
    assert world.shelf.images() == world.shelf.layers() == []
    head = world.repository.head()
    left = {
        str(path.relative_to(world.repository.public))
        for path in world.repository.public.glob("data/*/*")
    }
    kept = (head.catalogue, head.history, head.certificate)
    assert left == {each.path for each in kept}


def test_a_grace_period_begins_when_the_last_reference_goes(world):
    image = world.images[0]
    world.publish(image)
    world.pins.add("anna", "job", image.digest)
    world.now += 10 * RETENTION_S
    world.collector.collect(world.now)
    assert world.shelf.has_image(image.digest)
    world.pins.remove("anna", "job", image.digest)
    removed, _ = world.collector.collect(world.now)
    assert removed.names == (inbox_reference(image.digest),)
    assert world.shelf.has_image(image.digest)
    world.now += GRACE_S - 1
    world.collector.collect(world.now)
    assert world.shelf.has_image(image.digest)
    world.now += 2
    removed, _ = world.collector.collect(world.now)
    assert removed.images == (image.digest,)
    assert len(removed.layers) == 2
    assert not world.shelf.has_image(image.digest)


def test_a_clock_that_is_set_back_keeps_nothing_for_years(world):
    image = world.images[0].digest
    world.publish(world.images[0])
    begin = world.now
    world.now += 10 * 365 * 86400
    world.collector.collect(world.now)
    world.now = begin
    world.collector.collect(world.now)
    assert world.shelf.has_image(image)
    world.now += GRACE_S
    world.collector.collect(world.now)
    assert not world.shelf.has_image(image)


def test_who_rolls_back_loses_nothing_that_somebody_keeps(world):
    first, second, third = (image.digest for image in world.images[:3])
    world.publish(world.images[0])
    revision = world.shelf.head().revision
    world.publish(world.images[1])
    world.publish(world.images[2])
    world.pins.lease("anna", "jobs", [second], world.now + GRACE_S)
    _rollback(world, f"revision-{revision}")
    world.collector.collect(world.now, at_once=True)
    assert [world.shelf.has_image(x) for x in (first, second, third)] == [
        True,
        True,
        False,
    ]
    layers = {blob.digest for blob in world.shelf.image(second).layers}
    assert layers <= set(world.shelf.layers())
    good, public = world.shelf.head().revision, world.shelf.repository.public
    world.publish(world.images[2])
    (public / world.shelf.head().catalogue.path).write_bytes(b"damaged")
    _rollback(world, f"revision-{good}")  # as is advised then
    assert world.shelf.has_image(first)


def test_a_lease_ends_by_itself_and_says_when(world):
    image = world.images[0].digest
    world.publish(world.images[0])
    world.pins.lease("anna", "jobs", [image], world.now + 10 * RETENTION_S)
    world.now += 9 * RETENTION_S
    world.collector.collect(world.now)
    assert world.shelf.has_image(image)
    assert world.pins.of(image) == [("anna", "jobs", world.now + RETENTION_S)]
    world.now += RETENTION_S
    assert world.pins.of(image) == []
    world.collector.collect(world.now)
    assert world.pins.unused_since_of(image) == world.now
    world.now += GRACE_S
    assert world.collector.collect(world.now)[0].images == (image,)


def test_who_asks_again_in_time_keeps_it(world):
    image = world.images[0]
    world.publish(image)
    world.now += RETENTION_S - 1
    world.queue.ask([inbox_reference(image.digest)], world.now)
    while world.publisher.step():
        pass
    world.now += RETENTION_S - 1
    assert world.collector.collect(world.now)[0].names == ()
    assert world.shelf.names() == {inbox_reference(image.digest): image.digest}


def test_what_a_dry_run_says_is_done_then(world):
    image = world.images[0]
    world.publish(image)
    world.now += RETENTION_S + 1
    told, _ = world.collector.collect(world.now, dry_run=True)
    assert told.names == (inbox_reference(image.digest),)
    assert world.shelf.names() != {}
    assert world.collector.collect(world.now)[0] == told


def test_who_pins_while_it_is_being_collected_keeps_it(world, monkeypatch):
    image = world.images[0]
    world.publish(image)
    with world.repository.transaction() as change:
        remove_name(change, inbox_reference(image.digest))
        change.commit()
    world.collector.collect(world.now)
    world.now += GRACE_S
    decide = world.collector._decide

    def late(now, grace_s):
        removed = decide(now, grace_s)
        assert removed.images == (image.digest,)
        world.pins.add("anna", "job", image.digest)
        return removed

    monkeypatch.setattr(world.collector, "_decide", late)
    world.collector.collect(world.now)
    assert world.shelf.has_image(image.digest)


@pytest.mark.parametrize("event", ["publish", "ask"])
def test_what_is_asked_for_while_it_is_decided_stays(world, monkeypatch, event):
    image, other = world.images[:2]
    world.publish(image)
    world.now += RETENTION_S + 1
    decide = world.collector._decide
    late = iter([True])

    def decided(now, grace_s):
        removed = decide(now, grace_s)
        if next(late, False):
            assert removed.names == (inbox_reference(image.digest),)
            world.queue.ask([inbox_reference(image.digest)], world.now)
            if event == "publish":
                world.publish(other)  # nobody has to wait
        return removed

    monkeypatch.setattr(world.collector, "_decide", decided)
    world.collector.collect(world.now)
    while world.publisher.step():
        pass
    assert world.shelf.meaning(inbox_reference(image.digest)) == image.digest


def test_what_should_not_have_been_published_can_be_removed_at_once(world):
    first, second = world.images[:2]
    world.publish(first)
    world.publish(second)
    objects = {
        name
        for _, row in world.repository.namespace().walk(b"")
        for name in row.objects()
    }
    with world.repository.transaction() as change:
        remove_name(change, inbox_reference(first.digest))
        change.commit()
    removed, collected = world.collector.collect(world.now, at_once=True)
    assert removed.images == (first.digest,)
    assert collected.waiting == 0
    left = {name for name in objects if (world.repository.public / name.path).exists()}
    wanted = {
        name
        for _, row in world.repository.namespace().walk(b"")
        for name in row.objects()
    }
    assert left == wanted < objects
    assert len(world.repository.tags()) == 1
    world.check()
