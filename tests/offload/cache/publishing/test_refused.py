"""What is not public, no image or unsafe is refused with one line, and never half there."""

from __future__ import annotations

import json
import tarfile

import pytest

from offload.cache.publishing.images import PUBLIC
from offload.cache.publishing.work import State

OPEN = {PUBLIC: "1"}


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
    wish, annotations, labels, state, make_bench, make_tar, make_image
):
    bench = make_bench(wish) if wish else make_bench()
    image = make_image(
        make_tar(("a", b"secret marker")), annotations=annotations, labels=labels
    )
    entry = bench.push(image)
    assert entry.state is state
    assert bench.shelf.has_image(image.digest) is (state is State.PUBLISHED)
    if state is State.REFUSED:
        assert list(image.blobs)[1] not in bench.registry.fetched
        assert bench.revision == 1


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
    assert entry.detail == (
        "expected a container image, got 'application/vnd.cncf.helm.config.v1+json'"
    )


def test_a_layer_that_is_no_archive_is_refused(bench, make_image):
    image = make_image(b"no archive at all" * 100, annotations=OPEN)
    assert bench.push(image).state is State.REFUSED
    assert bench.revision == 1


def test_what_would_go_through_a_link_of_a_lower_layer_is_refused(
    bench, make_tar, make_image
):
    image = make_image(
        make_tar(("a", "/etc")), make_tar(("a/passwd", b"mine")), annotations=OPEN
    )
    entry = bench.push(image)
    assert (entry.state, bench.revision) == (State.REFUSED, 1)
    assert "in a lower one" in entry.detail


def test_what_lies_in_something_that_deletes_is_refused(bench, make_tar, make_image):
    image = make_image(
        make_tar(("a", b"1")),
        make_tar((".wh.a/", None), (".wh.a/b", b"2")),
        annotations=OPEN,
    )
    entry = bench.push(image)
    assert (entry.state, bench.revision) == (State.REFUSED, 1)
    assert "says to delete" in entry.detail
