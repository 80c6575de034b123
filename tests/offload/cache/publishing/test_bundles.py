"""A bundle holds objects of its image that a trace names, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from offload.cache.cvmfs.keys import Keys
from offload.cache.cvmfs.names import ObjectName
from offload.cache.cvmfs.objects import content_of
from offload.cache.cvmfs.repository import Repository
from offload.cache.publishing.bundles import publish_bundle
from offload.cache.publishing.errors import MissingImageError, RefusedRequestError
from offload.cache.publishing.images import read_manifest
from offload.cache.publishing.shelf import Shelf, put_image, remove_image
from offload.cache.publishing.trees import LayerTree
from offload.cache.reading.bundles import Use, path_of, unpack
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
        layer = LayerTree(tmp_path / "blob", "x", tmp_path / "scratch")
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
    return {path[len(top) + 1 :].decode(): next(row.objects()) for path, row in found}


def trace_of(*names: ObjectName) -> Trace:
    trace = Trace()
    for name in names:
        trace.note(Use(name, 0o644, 7), 1)
    return trace


def bundle_in(shelf: Shelf, image: str) -> list[tuple[ObjectName, bytes]]:
    row = shelf.repository.namespace().lookup(path_of(image))
    public = shelf.repository.public
    data = b"".join(
        content_of(name, (public / name.path).read_bytes()) for name in row.objects()
    )
    return [(use.name, bytes(packed)) for use, packed in unpack(data)]


def test_objects_are_in_the_order_of_the_trace(shelf, publish):
    image = publish(a=b"1", b=b"2", c=b"3")
    own = objects_of(shelf, image)
    assert publish_bundle(shelf, image, trace_of(own["c"], own["a"])) == 2
    found = bundle_in(shelf, image)
    assert [name for name, _ in found] == [own["c"], own["a"]]
    assert [content_of(name, data) for name, data in found] == [b"3", b"1"]
    revision = shelf.head().revision
    publish_bundle(shelf, image, trace_of(own["c"], own["a"]))
    assert shelf.head().revision == revision


def test_what_is_not_of_the_image_stays_out(shelf, publish):
    image, other = publish(a=b"1"), publish(secret=b"of another image")
    mine, theirs = objects_of(shelf, image)["a"], objects_of(shelf, other)["secret"]
    nowhere = ObjectName(b"x" * 20)
    assert publish_bundle(shelf, image, trace_of(theirs, mine, nowhere)) == 1
    assert [name for name, _ in bundle_in(shelf, image)] == [mine]
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


def test_files_in_a_bundle_appear_as_in_their_tree(shelf, publish):
    image = publish(a=b"1")
    trace = Trace()
    trace.note(Use(objects_of(shelf, image)["a"], 0o000, -7), 1)
    publish_bundle(shelf, image, trace)
    row = shelf.repository.namespace().lookup(path_of(image))
    (name,) = row.objects()
    data = content_of(name, (shelf.repository.public / name.path).read_bytes())
    ((use, _),) = unpack(data)
    assert (use.mode, use.mtime) == (0o644, 1_700_000_000)
