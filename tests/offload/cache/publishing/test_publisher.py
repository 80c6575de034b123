"""Names become trees that everybody sees, once, whatever happens in between."""

from __future__ import annotations

import json
import os
import tarfile
import threading
from datetime import UTC, datetime

import pytest

from offload.cache.cvmfs.keys import Keys
from offload.cache.cvmfs.objects import content_of
from offload.cache.cvmfs.packing import Packer
from offload.cache.cvmfs.repository import Repository
from offload.cache.publishing import fetching
from offload.cache.publishing.errors import PublishingError
from offload.cache.publishing.images import PUBLIC, read_manifest
from offload.cache.publishing.inbox import Inbox
from offload.cache.publishing.publisher import Publisher
from offload.cache.publishing.queue import Queue
from offload.cache.publishing.references import Reference, Wish
from offload.cache.publishing.shelf import (
    Shelf,
    remove_image,
    remove_layer,
    remove_name,
)
from offload.cache.publishing.work import MOST_CRASHES, State
from offload.snapshot.model import Blob
from offload.snapshot.store.local import LocalStore
from offload.snapshot.store.writing import BlobWriter

FQRN = "images.example.org"
OPEN = {PUBLIC: "1"}


class FakeRegistry:
    """What a registry has now; every blob that is fetched is noted."""

    def __init__(self) -> None:
        self.tags: dict[tuple[str, str], bytes] = {}
        self.blobs: dict[str, bytes] = {}
        self.fetched: list[str] = []
        self.broken: Exception | None = None

    def push(self, repository, tag, image) -> None:
        self.blobs |= image.blobs
        self.tags[repository, tag] = image.manifest
        self.tags[repository, image.digest] = image.manifest

    def manifest(self, repository, version):
        if self.broken:
            raise self.broken
        return self.tags.get((repository, version))

    def fetch(self, repository, blob, store, got=lambda _: None, began=lambda _: None):
        if store.has(blob.digest):
            return
        self.fetched.append(blob.digest)
        with store.writer() as writer:
            began(writer.draft)
            data = self.blobs[blob.digest]
            for start in range(0, len(data), 1 << 20):
                piece = data[start : start + (1 << 20)]
                writer.write(piece)
                got(len(piece))
                self.came(writer.size)
            writer.commit(blob.digest)

    def came(self, size) -> None:
        """So much of a blob is in the store."""


@pytest.fixture(scope="session")
def keys():
    return Keys.generate(FQRN, datetime.now(UTC))


class Bench:
    """A publisher with a registry ``h``, and what a reader sees of it."""

    def __init__(self, folder, keys, wishes=()):
        self.registry = FakeRegistry()
        self.repository = Repository(folder / "repository", FQRN, keys).create()
        self.shelf = Shelf(self.repository, "amd64")
        self.queue = Queue(folder / "queue.sqlite")
        self.store = LocalStore(folder / "store")
        self.now = 1000.0
        self.publisher = Publisher(
            self.shelf,
            self.queue,
            self.store,
            {"h": self.registry},
            [Wish.parse(wish) for wish in wishes],
            "amd64",
            folder / "scratch",
            lambda: self.now,
        )

    def push(self, image, tag="v1", repository="env"):
        reference = Reference("h", repository, tag)
        self.registry.push(repository, tag, image)
        self.queue.ask([reference], self.now)
        while self.publisher.step():
            pass
        return self.queue.entry(reference)

    @property
    def revision(self):
        return self.repository.head().revision

    def tree(self, digest) -> dict[str, object]:
        name = digest.removeprefix("sha256:")
        top = f"/.flat/{name[:2]}/{name}".encode()
        return {
            path[len(top) + 1 :].decode(): (
                row.target.decode()
                or (self.read(row) if row.digest or row.chunks else None)
            )
            for path, row in self.repository.namespace().walk(top)
        }

    def read(self, row) -> bytes:
        return b"".join(
            content_of(name, (self.repository.public / name.path).read_bytes())
            for name in row.objects()
        )


@pytest.fixture
def bench(tmp_path, keys):
    bench = Bench(tmp_path, keys)
    yield bench
    bench.queue.close()


def test_layers_become_one_tree_with_a_name(bench, make_tar, make_image):
    image = make_image(
        make_tar(("bin/", None), ("bin/tool", b"old"), ("bin/gone", b""), ("l", "bin")),
        make_tar(("bin/tool", b"new"), ("bin/.wh.gone", b"")),
        annotations=OPEN,
    )
    entry = bench.push(image)
    assert (entry.state, entry.image) == (State.PUBLISHED, image.digest)
    assert bench.tree(image.digest) == {
        "bin": None,
        "bin/tool": b"new",
        "l": "bin",
    }
    assert bench.shelf.names() == {Reference("h", "env", "v1"): image.digest}
    name = image.digest.removeprefix("sha256:")
    link = bench.repository.namespace().lookup(b"/images/h/env:v1")
    assert link.target.decode() == f"../../.flat/{name[:2]}/{name}"
    assert bench.shelf.image(image.digest).manifest == image.manifest
    assert not list(bench.store.digests())


def test_a_name_asked_for_again_and_again_is_published_once(
    bench, make_tar, make_image
):
    image = make_image(make_tar(("a", b"1")), annotations=OPEN)
    bench.push(image)
    revision, fetched = bench.revision, list(bench.registry.fetched)
    for _ in range(10):
        assert bench.push(image).state is State.PUBLISHED
    assert (bench.revision, bench.registry.fetched) == (revision, fetched)


def test_what_the_disk_has_damaged_is_published_again(bench, make_tar, make_image):
    image = make_image(
        make_tar(("a", b"1")), make_tar(("b", b"2" * 99)), annotations=OPEN
    )
    bench.push(image)
    revision, tree = bench.revision, bench.tree(image.digest)
    name = image.digest.removeprefix("sha256:")
    row = bench.repository.namespace().lookup(f"/.flat/{name[:2]}/{name}/b".encode())
    (damaged,) = row.objects()
    (bench.repository.public / damaged.path).write_bytes(b"x")
    found = [each for step in bench.repository.verify() for each in step.damaged]
    assert [each.name for each in found] == [damaged]
    assert not bench.shelf.has_image(image.digest)
    bench.registry.fetched.clear()
    assert bench.push(image).state is State.PUBLISHED
    config, _, layer = image.blobs
    assert set(bench.registry.fetched) == {config, layer}
    assert bench.shelf.has_image(image.digest)
    assert bench.tree(image.digest) == tree
    assert bench.revision == revision


def test_only_new_layers_are_fetched(bench, make_tar, make_image):
    base = make_tar(("a", os.urandom(1000)))
    first = make_image(base, make_tar(("b", b"1")), annotations=OPEN)
    second = make_image(base, make_tar(("b", b"2")), annotations=OPEN)
    bench.push(first)
    bench.registry.fetched.clear()
    bench.push(second)
    config, _, layer = second.blobs
    assert set(bench.registry.fetched) == {config, layer}
    assert set(bench.shelf.images()) == {first.digest, second.digest}
    assert bench.shelf.meaning(Reference("h", "env", "v1")) == second.digest


def test_events_out_of_order_end_with_what_the_registry_has(
    bench, make_tar, make_image
):
    images = [make_image(make_tar(("a", b"%d" % n)), annotations=OPEN) for n in (1, 2)]
    reference = Reference("h", "env", "latest")
    for image in images:
        bench.registry.push("env", "latest", image)
    for digest in (images[1].digest, "latest", images[0].digest, "latest"):
        bench.queue.ask([Reference("h", "env", digest)], bench.now)
        assert bench.publisher.step()
    assert bench.shelf.meaning(reference) == images[1].digest


def test_a_name_that_is_gone_is_taken_away_and_its_image_stays(
    bench, make_tar, make_image
):
    image = make_image(make_tar(("a", b"1")), annotations=OPEN)
    bench.push(image, tag="v1")
    bench.push(image, tag="v2")
    for version in ("v1", "v2", image.digest):
        del bench.registry.tags["env", version]
    bench.queue.ask([Reference("h", "env", image.digest)], bench.now)
    while bench.publisher.step():
        pass
    assert bench.shelf.names() == {}
    assert bench.repository.namespace().lookup(b"/images/h") is None
    assert bench.shelf.has_image(image.digest)
    assert bench.queue.entry(Reference("h", "env", "v1")).state is State.GONE


@pytest.mark.parametrize(
    ("wish", "annotations", "labels", "state"),
    [
        (None, OPEN, {}, State.PUBLISHED),
        ("h/env:v*", None, {}, State.PUBLISHED),
        (None, None, {}, State.REFUSED),
        ("h/env:w*", None, {}, State.REFUSED),
        ("h/env:v*", None, {"analysis-facility.snapshot": "{}"}, State.REFUSED),
    ],
)
def test_only_what_is_public_or_wished_for_is_published(
    wish, annotations, labels, state, tmp_path, keys, make_tar, make_image
):
    bench = Bench(tmp_path, keys, [wish] if wish else [])
    image = make_image(
        make_tar(("a", b"secret marker")), annotations=annotations, labels=labels
    )
    entry = bench.push(image)
    assert entry.state is state
    assert bench.shelf.has_image(image.digest) is (state is State.PUBLISHED)
    if state is State.REFUSED:
        assert list(image.blobs)[1] not in bench.registry.fetched
        assert bench.revision == 1
    bench.queue.close()


@pytest.mark.parametrize(
    "members",
    [
        [("../../a", b"")],
        [("/a", b"")],
        [("a", "/etc"), ("a/b", b"")],
        [("a", (tarfile.CHRTYPE, ""))],
        [("n" * 256, b"")],
    ],
)
def test_an_unsafe_layer_is_refused_and_nothing_half_published(
    members, bench, make_tar, make_image
):
    image = make_image(make_tar(("good", b"1")), make_tar(*members), annotations=OPEN)
    entry = bench.push(image)
    assert entry.state is State.REFUSED
    assert entry.detail.startswith("layer sha256:")
    assert entry.detail.isprintable()
    assert bench.revision == 1
    assert bench.shelf.layers() == []


def test_what_is_no_image_is_refused(bench, make_tar, make_image):
    image = make_image(make_tar(("a", b"")), annotations=OPEN)
    document = json.loads(image.manifest)
    document["config"]["mediaType"] = "application/vnd.cncf.helm.config.v1+json"
    image.manifest = json.dumps(document).encode()
    entry = bench.push(image)
    assert (entry.state, bench.revision) == (State.REFUSED, 1)
    assert "expected a container image" in entry.detail


def test_a_layer_that_is_no_archive_is_refused(bench, make_image):
    image = make_image(b"no archive at all" * 100, annotations=OPEN)
    assert bench.push(image).state is State.REFUSED
    assert bench.revision == 1


def test_a_registry_that_is_away_is_asked_again(bench, make_tar, make_image):
    image = make_image(make_tar(("a", b"1")), annotations=OPEN)
    bench.registry.broken = PublishingError("cannot be reached")
    entry = bench.push(image)
    assert (entry.state, entry.detail) == (State.WAITING, "cannot be reached")
    bench.registry.broken = None
    bench.now = entry.due
    assert bench.publisher.step()
    assert bench.queue.entry(entry.reference).state is State.PUBLISHED


def test_an_index_leads_to_the_image_of_our_machines(bench, make_tar, make_image):
    image = make_image(make_tar(("a", b"1")), annotations=OPEN)
    bench.registry.push("env", "x", image)
    platform = {"os": "linux", "architecture": "amd64"}
    kind = "application/vnd.oci.image.manifest.v1+json"
    size = len(image.manifest)
    each = {"mediaType": kind, "digest": image.digest, "size": size}
    index = {
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{**each, "platform": platform}],
    }
    bench.registry.tags["env", "v1"] = json.dumps(index).encode()
    bench.queue.ask([Reference("h", "env", "v1")], bench.now)
    assert bench.publisher.step()
    entry = bench.queue.entry(Reference("h", "env", "v1"))
    assert (entry.state, entry.image) == (State.PUBLISHED, image.digest)
    assert entry.told != entry.image


@pytest.mark.parametrize("size", [100, 5_000_000])
def test_hard_links_are_files_with_the_same_content(size, bench, make_tar, make_image):
    content = os.urandom(size)
    image = make_image(
        make_tar(
            ("a", content),
            ("b", (tarfile.LNKTYPE, "a")),
            ("c", (tarfile.LNKTYPE, "b")),
        ),
        annotations=OPEN,
    )
    bench.push(image)
    assert bench.tree(image.digest) == {"a": content, "b": content, "c": content}


def test_the_same_layer_twice_in_an_image(bench, make_tar, make_image):
    layer = make_tar(("a", b"1"))
    image = make_image(layer, make_tar(("b", b"2")), layer, annotations=OPEN)
    assert bench.push(image).state is State.PUBLISHED
    assert bench.tree(image.digest) == {"a": b"1", "b": b"2"}


def test_folders_that_a_layer_only_uses_are_as_lower_layers_have_them(
    bench, make_tar, make_image
):
    private = tarfile.TarInfo("a")
    private.type, private.mode = tarfile.DIRTYPE, 0o700
    base = make_tar(("a", private))
    upper = make_tar(("a/b", b"1"), ("c/d", b"2"))
    for extra in (b"1", b"2"):  # the second time the upper layer is there already
        image = make_image(base, upper, make_tar(("e", extra)), annotations=OPEN)
        assert bench.push(image).state is State.PUBLISHED
        name = image.digest.removeprefix("sha256:")
        top = f"/.flat/{name[:2]}/{name}".encode()
        space = bench.repository.namespace()
        assert space.lookup(top + b"/a").mode == 0o700
        assert space.lookup(top + b"/c").mode == 0o755


def test_what_would_go_through_a_link_of_a_lower_layer_is_refused(
    bench, make_tar, make_image
):
    image = make_image(
        make_tar(("a", "/etc")), make_tar(("a/passwd", b"mine")), annotations=OPEN
    )
    entry = bench.push(image)
    assert (entry.state, bench.revision) == (State.REFUSED, 1)
    assert "in a lower one" in entry.detail


def test_a_full_disk_in_the_middle_publishes_nothing_and_is_tried_again(
    bench, make_tar, make_image, monkeypatch
):
    from offload.cache.cvmfs.storage import Storage
    from offload.cache.errors import NoSpaceError

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


def test_an_image_that_ends_the_publisher_each_time_is_set_aside(
    bench, make_tar, make_image
):
    bad, good = (make_image(make_tar(("a", x)), annotations=OPEN) for x in (b"1", b"2"))
    bench.registry.broken = KeyboardInterrupt()  # as a kill: nothing is written
    reference = Reference("h", "env", "bad")
    bench.queue.ask([reference], bench.now)
    for crashes in range(MOST_CRASHES):
        with pytest.raises(KeyboardInterrupt):
            bench.publisher.step()
        bench.queue.recover(bench.now)
        if crashes == 0:
            bench.registry.broken = None
            assert bench.push(good, tag="good").state is State.PUBLISHED
            bench.registry.broken = KeyboardInterrupt()
        bench.now = bench.queue.entry(reference).due
    bench.registry.broken = None
    bench.registry.push("env", "bad", bad)
    assert bench.publisher.step()
    entry = bench.queue.entry(reference)
    assert (entry.state, entry.told) == (State.REFUSED, bad.digest)
    assert f"ended {MOST_CRASHES} times" in entry.detail
    assert bench.push(bad, tag="bad").state is State.PUBLISHED


def test_what_lies_in_something_that_deletes_is_refused(bench, make_tar, make_image):
    image = make_image(
        make_tar(("a", b"1")),
        make_tar((".wh.a/", None), (".wh.a/b", b"2")),
        annotations=OPEN,
    )
    entry = bench.push(image)
    assert (entry.state, bench.revision) == (State.REFUSED, 1)
    assert "says to delete" in entry.detail


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
        incoming = inbox.incoming(Blob(digest, len(data)))
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
            incoming = inbox.incoming(Blob(digest, len(data)))
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


def test_a_layer_is_packed_while_it_comes(bench, make_tar, make_image, monkeypatch):
    content = os.urandom(3 << 20)
    image = make_image(make_tar(("a", b"1"), ("b", content)), annotations=OPEN)
    is_packed = threading.Event()
    add = Packer.add

    def noted(self, item, done):
        add(self, item, done)
        is_packed.set()

    def came(size):
        if size > 2 << 20:
            assert is_packed.wait(30)

    monkeypatch.setattr(Packer, "add", noted)
    monkeypatch.setattr(bench.registry, "came", came)
    monkeypatch.setattr(fetching, "is_near", lambda done, total, _: done > 0)
    assert bench.push(image).state is State.PUBLISHED
    assert bench.tree(image.digest) == {"a": b"1", "b": content}


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


def test_what_is_fetched_is_not_cleared_away(bench, busy, make_tar, make_image):
    image = make_image(make_tar(("a", b"1")), annotations=OPEN)
    assert bench.push(image).state is State.PUBLISHED
