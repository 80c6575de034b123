"""Names become trees that everybody sees, once, whatever happens in between."""

from __future__ import annotations

import json
import os
import tarfile
import threading

import pytest

from offload.cache.cvmfs.packing import Packer
from offload.cache.publishing.images import PUBLIC
from offload.cache.publishing.references import Reference
from offload.cache.publishing.work import State

OPEN = {PUBLIC: "1"}


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
    assert bench.push(image).state is State.PUBLISHED
    assert bench.tree(image.digest) == {"a": b"1", "b": content}
