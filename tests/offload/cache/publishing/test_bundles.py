"""A bundle holds objects of its image that a trace names, and nothing else."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from functools import partial

import pytest

from offload.cache.cvmfs.errors import DamagedObjectError
from offload.cache.cvmfs.keys import Keys
from offload.cache.cvmfs.names import ObjectName
from offload.cache.cvmfs.objects import content_of
from offload.cache.cvmfs.repository import Repository
from offload.cache.publishing.bundles import publish_bundle
from offload.cache.publishing.errors import MissingImageError, RefusedRequestError
from offload.cache.publishing.images import read_manifest
from offload.cache.publishing.shelf import Shelf, put_image, remove_image
from offload.cache.publishing.trees import LayerTree
from offload.cache.reading.bundles import (
    INDEX,
    LEAST_PART,
    Use,
    path_of,
    places,
    unpack,
)
from offload.cache.reading.traces import Trace

FQRN = "images.example.org"


@pytest.fixture
def shelf(tmp_path):
    keys = Keys.generate(FQRN, datetime.now(UTC))
    return Shelf(Repository(tmp_path / "repository", FQRN, keys).create(), "amd64")


@pytest.fixture
def publish(shelf, tmp_path, make_tar, make_image):
    def published(**files: bytes) -> str:
        image = make_image(make_tar(*files.items()), form="tar")
        (digest,) = list(image.blobs)[1:]
        (tmp_path / "blob").write_bytes(image.blobs[digest])
        layer = LayerTree(partial((tmp_path / "blob").open, "rb"), "x", tmp_path)
        with shelf.repository.transaction() as change:
            read = read_manifest(image.manifest, "amd64")
            put_image(change, read, {digest: layer}, shelf.implied)
            change.commit()
        return image.digest

    return published


def objects_of(shelf: Shelf, image: str) -> dict[str, ObjectName]:
    name = image.removeprefix("sha256:")
    top = f"/.flat/{name[:2]}/{name}".encode()
    found = shelf.repository.namespace().walk(top)
    return {
        path[len(top) + 1 :].decode(): name
        for path, row in found
        for name in row.objects()
    }


def trace_of(*names: ObjectName) -> Trace:
    trace = Trace()
    for name in names:
        trace.note(Use(name, 0o644, 7), 1)
    return trace


def bundle_in(shelf: Shelf, image: str) -> dict[ObjectName, bytes]:
    public = shelf.repository.public
    files = {
        row.name: b"".join(
            content_of(name, (public / name.path).read_bytes())
            for name in row.objects()
        )
        for row in shelf.repository.namespace().listing(path_of(image))
    }
    index = places(files.pop(INDEX))
    parts = {int(name): unpack(data) for name, data in files.items()}
    return {
        name: parts[at.part][at.start : at.start + at.size]
        for name, at in index.items()
    }


def test_objects_are_in_the_order_of_the_trace(shelf, publish):
    image = publish(a=b"1", b=b"2", c=b"3")
    own = objects_of(shelf, image)
    assert publish_bundle(shelf, image, trace_of(own["c"], own["a"])) == 2
    assert list(bundle_in(shelf, image).items()) == [(own["c"], b"3"), (own["a"], b"1")]
    revision = shelf.head().revision
    publish_bundle(shelf, image, trace_of(own["c"], own["a"]))
    assert shelf.head().revision == revision


def test_what_is_not_of_the_image_stays_out(shelf, publish):
    image, other = publish(a=b"1"), publish(secret=b"of another image")
    mine, theirs = objects_of(shelf, image)["a"], objects_of(shelf, other)["secret"]
    nowhere = ObjectName(b"x" * 20)
    assert publish_bundle(shelf, image, trace_of(theirs, mine, nowhere)) == 1
    assert list(bundle_in(shelf, image)) == [mine]
    with pytest.raises(RefusedRequestError, match="no object"):
        publish_bundle(shelf, image, trace_of(theirs))


def test_of_an_image_that_is_not_published_there_is_none(shelf):
    with pytest.raises(MissingImageError, match="not published"):
        publish_bundle(shelf, f"sha256:{'a' * 64}", trace_of(ObjectName(b"x" * 20)))


def test_a_bundle_goes_with_its_image(shelf, publish):
    image = publish(a=b"1")
    publish_bundle(shelf, image, trace_of(*objects_of(shelf, image).values()))
    with shelf.repository.transaction() as change:
        remove_image(change, image)
        change.commit()
    assert shelf.repository.namespace().lookup(path_of(image)) is None


def test_a_trace_is_read_from_what_somebody_sends():
    line = f"{'a' * 40} 644 7 100\n"
    assert len(Trace.parse(line + "no line\n../../etc\n")) == 1


def test_an_image_that_is_collected_meanwhile_leaves_no_bundle(
    shelf, publish, monkeypatch
):
    image = publish(a=b"1")
    trace = trace_of(objects_of(shelf, image)["a"])
    transaction = shelf.repository.transaction

    def late(**options):
        monkeypatch.undo()
        with transaction() as change:
            remove_image(change, image)
            change.commit()
        return transaction(**options)

    monkeypatch.setattr(shelf.repository, "transaction", late)
    with pytest.raises(MissingImageError):
        publish_bundle(shelf, image, trace)
    assert shelf.repository.namespace().lookup(path_of(image)) is None


def test_a_bundle_of_less_leaves_nothing_of_the_one_before(shelf, publish):
    image = publish(a=b"1", b=b"2")
    own = objects_of(shelf, image)
    publish_bundle(shelf, image, trace_of(own["a"], own["b"]))
    publish_bundle(shelf, image, trace_of(own["b"]))
    assert bundle_in(shelf, image) == {own["b"]: b"2"}


def test_an_object_that_is_damaged_gets_into_no_bundle(shelf, publish):
    image = publish(a=b"1")
    own = objects_of(shelf, image)
    place = shelf.repository.public / own["a"].path
    place.chmod(0o600)
    place.write_bytes(place.read_bytes()[:-1])
    with pytest.raises(DamagedObjectError):
        publish_bundle(shelf, image, trace_of(own["a"]))
    assert shelf.repository.namespace().lookup(path_of(image)) is None


def test_images_that_share_packages_share_parts(shelf, publish):
    def library(seed: int) -> bytes:
        return random.Random(seed).randbytes(LEAST_PART + 9)

    def parts_of(image: str) -> set[ObjectName]:
        publish_bundle(shelf, image, trace_of(*objects_of(shelf, image).values()))
        rows = shelf.repository.namespace().listing(path_of(image))
        return {next(row.objects()) for row in rows if row.name != INDEX}

    packages = {"a/x": library(1), "b/y": b"small", "c/z": library(2)}
    one = parts_of(publish(**packages))
    other = parts_of(publish(**packages | {"b/y": b"other"}))
    assert len(one) == len(other) == 3
    assert len(one & other) == 2
