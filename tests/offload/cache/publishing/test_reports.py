"""What sites report becomes a bundle, again only if much is new, and never more."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

import pytest

from offload.cache.cvmfs.keys import Keys
from offload.cache.cvmfs.names import ObjectName
from offload.cache.cvmfs.repository import Repository
from offload.cache.publishing.errors import (
    MissingImageError,
    PublishingError,
    RefusedEventError,
    RefusedRequestError,
)
from offload.cache.publishing.images import read_manifest
from offload.cache.publishing.reports import Reports
from offload.cache.publishing.shelf import Shelf, put_image, remove_image
from offload.cache.publishing.tokens import (
    person_of,
    reporter_of,
    site_token,
    token_of,
)
from offload.cache.publishing.trees import LayerTree
from offload.cache.reading.bundles import Use
from offload.cache.reading.traces import Trace

FQRN = "images.example.org"
COUNT = 30


@pytest.fixture
def shelf(tmp_path):
    keys = Keys.generate(FQRN, datetime.now(UTC))
    return Shelf(Repository(tmp_path / "repository", FQRN, keys).create(), "amd64")


@pytest.fixture
def image(shelf, tmp_path, make_tar, make_image):
    made = make_image(
        make_tar(*((f"f{n:02}", b"content %d" % n) for n in range(COUNT))), form="tar"
    )
    (digest,) = list(made.blobs)[1:]
    (tmp_path / "blob").write_bytes(made.blobs[digest])
    layer = LayerTree(partial((tmp_path / "blob").open, "rb"), "x", tmp_path)
    with shelf.repository.transaction() as change:
        read = read_manifest(made.manifest, "amd64")
        put_image(change, read, {digest: layer}, shelf.implied)
        change.commit()
    return made.digest


@pytest.fixture
def objects(shelf, image) -> list[ObjectName]:
    name = image.removeprefix("sha256:")
    found = shelf.repository.namespace().walk(f"/.flat/{name[:2]}/{name}".encode())
    return [name for _, row in found for name in row.objects()]


def trace_of(*names: ObjectName) -> Trace:
    trace = Trace()
    for name in names:
        trace.note(Use(name, 0o644, 7), 1)
    return trace


def test_sites_add_to_what_is_known_and_little_makes_no_bundle(
    shelf, image, objects, tmp_path
):
    reports = Reports(shelf, tmp_path / "traces")
    assert reports.take(image, trace_of(*objects[:20])) == 20
    revision = shelf.head().revision
    assert reports.take(image, trace_of(*objects[:21])) == 0
    assert reports.take(image, trace_of(*objects[5:20])) == 0
    assert shelf.head().revision == revision
    # As after a restart, of another site.
    again = Reports(shelf, tmp_path / "traces")
    assert again.take(image, trace_of(*objects[25:])) == 25
    assert shelf.head().revision == revision + 1


def test_what_is_not_of_the_image_counts_for_nothing(shelf, image, objects, tmp_path):
    reports = Reports(shelf, tmp_path / "traces")
    strange = [ObjectName(bytes([n]) * 20) for n in range(50)]
    with pytest.raises(RefusedRequestError):
        reports.take(image, trace_of(*strange))
    assert reports.take(image, trace_of(*strange, *objects[:5])) == 5
    assert reports.take(image, trace_of(*strange, *objects[:5])) == 0
    (kept,) = (tmp_path / "traces").iterdir()
    assert len(Trace.load(kept)) == 5


def test_traces_go_with_their_image(shelf, image, objects, tmp_path):
    reports = Reports(shelf, tmp_path / "traces")
    reports.take(image, trace_of(*objects))
    with shelf.repository.transaction() as change:
        remove_image(change, image)
        change.commit()
    with pytest.raises(MissingImageError):
        reports.take(image, trace_of(*objects))
    assert list((tmp_path / "traces").iterdir()) == []


def test_a_sites_token_reports_and_does_nothing_else():
    header = f"Bearer {site_token('cluster', 'key')}"
    assert reporter_of(header, "key") == "cluster+traces"
    assert reporter_of(f"Bearer {token_of('anna', 'key')}", "key") == "anna"
    with pytest.raises(RefusedEventError):
        person_of(header, "key")
    for wrong in (None, header[:-1] + "x", header.replace("+traces", "")):
        with pytest.raises(RefusedEventError):
            reporter_of(wrong, "key")
    with pytest.raises(PublishingError, match="expected letters"):
        site_token("a+b", "key")
