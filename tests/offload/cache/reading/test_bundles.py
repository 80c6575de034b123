"""Bundles bring here in few files what a start reads, and share what they can."""

import os
import random

import pytest

from offload.cache.cvmfs.errors import DamagedObjectError
from offload.cache.cvmfs.items import Item
from offload.cache.cvmfs.names import ObjectName, Suffix
from offload.cache.cvmfs.objects import content_of
from offload.cache.reading.ahead import Ahead
from offload.cache.reading.bundles import (
    INDEX,
    LARGE,
    LARGEST_PART,
    LEAST_PART,
    RAW,
    Piece,
    Use,
    cut,
    items,
    path_of,
    places,
    unpack,
)
from offload.cache.reading.choosing import Amount
from offload.cache.reading.errors import AbsentError
from offload.cache.reading.estimating import situation
from offload.cache.reading.traces import Trace
from offload.snapshot.tree import Kind


@pytest.fixture
def image(publisher):
    publisher.publish(small=publisher.small)
    return publisher.digest("small")


@pytest.fixture
def pieces(cache, image):
    """All files' objects."""
    found = {}
    path = f"/.flat/{image[7:9]}/{image[7:]}".encode()
    for place, row in cache.view().walk(path):
        sizes = [chunk.size for chunk in row.chunks] or [row.size]
        for name, size in zip(row.objects(), sizes, strict=False):
            found[name] = Piece(name, place.rpartition(b"/")[0], size)
    return list(found.values())


@pytest.fixture
def contents(publisher, pieces):
    return {
        name: content_of(name, (publisher.public / name.path).read_bytes(), size)
        for name, _, size, *_ in pieces
    }


@pytest.fixture
def bundled(publisher, image, pieces, contents):
    files = list(items(pieces, contents.__getitem__))
    publisher.publish_at(path_of(image), *files)
    return {file.path: file.content for file in files}


def made(count, folder, size, seed):
    rng = random.Random(seed)
    return [
        Piece(ObjectName(rng.randbytes(20)), folder, rng.randrange(2 * size))
        for _ in range(count)
    ]


def test_what_is_packed_is_unpacked():
    rng = random.Random(1)
    contents = {
        ObjectName(rng.randbytes(20), suffix): rng.randbytes(10 * number)
        for number, suffix in enumerate([Suffix.CHUNK, Suffix.FILE] * 20)
    }
    pieces = [Piece(name, b"", len(data)) for name, data in contents.items()]
    files = {i.path: i.content for i in items(pieces, contents.__getitem__)}
    assert set(files) == {INDEX, b"0"}
    data = unpack(files[b"0"])
    found = places(files[INDEX])
    assert {n: data[at.start : at.start + at.size] for n, at in found.items()} == (
        contents
    )
    for size in (len(files[b"0"]) - 1, 9, 0):
        with pytest.raises(DamagedObjectError, match="a part of a bundle"):
            unpack(files[b"0"][:size])
    with pytest.raises(DamagedObjectError, match="a part of a bundle"):
        unpack(files[b"0"] + b"x")


@pytest.mark.parametrize("size", [0, 5, 19, 30, 45, -1])
def test_what_is_no_whole_index_is_refused(size):
    index = list(items([Piece(ObjectName(bytes(20)), b"", 3)], lambda _: b"abc"))[1]
    assert len(places(index.content)) == 1
    with pytest.raises(DamagedObjectError, match="a bundle: "):
        places(index.content[:size])


def test_parts_are_neither_small_nor_large_and_hold_all():
    pieces = [*made(200, b"a", 90_000, 1), *made(300, b"b", 3_000, 2)]
    parts = list(cut(pieces))
    assert [piece for part in parts for piece in part] == pieces
    sizes = [sum(piece.size for piece in part) for part in parts]
    assert all(size <= LARGEST_PART for size in sizes)
    assert len([size for size in sizes if size < LEAST_PART]) <= 2
    assert len(sizes) > 5


def test_another_folder_in_front_changes_no_part_of_a_large_one():
    large = [*made(100, b"a", 90_000, 1), *made(100, b"b", 90_000, 2)]
    before = {tuple(part) for part in cut([*made(9, b"x", 9_000, 3), *large])}
    after = {tuple(part) for part in cut([*made(11, b"x", 9_000, 4), *large])}
    assert len(before - after) == len(after - before) == 1


def test_one_other_object_changes_few_parts_of_its_folder():
    large = made(400, b"a", 90_000, 1)
    before = {tuple(part) for part in cut(large)}
    after = {tuple(part) for part in cut([*large[:99], *large[100:]])}
    assert len(before) > 10
    assert len(after - before) <= 3


def test_a_cold_cache_gets_all_and_keeps_it(
    make_cache, origin, image, bundled, contents
):
    cache = make_cache("cold")
    got = {}
    assert cache.bundle(image, got.__setitem__)
    assert {name: path.read_bytes() for name, path in got.items()} == bundled
    ahead = Ahead()
    for name, path in got.items():
        ahead.add(name, path)
    ahead.end()
    assert {name: ahead.read(name, 0, 1 << 30) for name in contents} == contents
    ahead.close()
    origin.requests.clear()
    assert cache.bundle(image)
    assert not [p for p in origin.requests if "/data/" in p]


def test_a_cold_site_knows_from_it_how_much_is_read(make_cache, image, pieces, request):
    missing = "sha256:" + "7" * 64
    with pytest.raises(AbsentError, match="no image of"):
        situation(make_cache("cold"), missing, can_mount=True)
    before = situation(make_cache("cold"), image, can_mount=True)
    assert before.read_before is None
    assert not before.has_bundle
    request.getfixturevalue("bundled")
    cache = make_cache("later")
    known = situation(cache, image, can_mount=True)
    assert known.has_bundle
    assert known.read_before == Amount(len(pieces), sum(p.size for p in pieces))
    assert known.missing == known.image
    cache.image(image)
    assert situation(cache, image, can_mount=True).missing == Amount(0, 0)


def test_a_file_of_it_that_is_damaged_on_disk_is_fetched_again(
    make_cache, image, bundled
):
    got = {}
    make_cache("cold").bundle(image, got.__setitem__)
    for place in got.values():
        place.chmod(0o600)
        place.write_bytes(place.read_bytes()[:-1])
    make_cache("cold").bundle(image, got.__setitem__)
    assert {name: path.read_bytes() for name, path in got.items()} == bundled


def test_a_whole_tree_is_made_of_what_is_here_of_it(
    make_cache, publisher, origin, image, bundled
):
    cache = make_cache("cold")
    cache.bundle(image)
    origin.requests.clear()
    tree = cache.image(image)
    for made in publisher.small:
        if made.kind == "file":
            path = tree / os.fsdecode(made.path)
            assert path.read_bytes() == made.content
            assert path.stat().st_mode & 0o777 == made.mode
    asked = [path for path in origin.requests if "/data/" in path]
    assert {path[-1] for path in asked} <= {"C"}  # catalogues
    assert cache.verify() == 0


def test_what_cannot_be_had_of_it_leaves_the_rest(
    make_cache, publisher, image, bundled
):
    row = publisher.repository.namespace().lookup(path_of(image) + b"/0")
    (name,) = row.objects()
    (publisher.public / name.path).unlink()
    got = {}
    with pytest.raises(AbsentError):
        make_cache("cold").bundle(image, got.__setitem__)
    assert set(got) == bundled.keys() - {b"0"}


def test_without_a_bundle_nothing_is_ahead(cache, image):
    assert not cache.bundle(image)


def test_a_trace_survives_the_disk(tmp_path):
    trace = Trace()
    names = [ObjectName(bytes([n]) * 20, Suffix.CHUNK) for n in range(5)]
    for n, name in enumerate([*names, *names]):
        trace.note(Use(name, 0o644, -n), 10 + n)
    path = tmp_path / "traces" / "x"
    trace.save(path)
    with path.open("a") as file:
        file.write("damage\n")
    again = Trace.load(path)
    assert again.uses == trace.uses
    assert (len(again), again.size) == (5, 60)
    more = Trace()
    more.merge([Trace.load(tmp_path / "nothing"), again])
    assert more.uses == trace.uses


def of_files(publisher):
    return [path for path in publisher.objects() if path.name[-1] not in "CH"]


def test_a_large_object_is_a_part_by_itself_and_held_once(publisher, make_cache):
    content = os.urandom(LARGE)
    library = Item(b"l.so", Kind.FILE, 0o755, LARGE, 7, content=content)
    publisher.publish(lib=[library, publisher.file(b"m.py", b"m" * (LARGE - 1))])
    before = len(of_files(publisher))
    image = publisher.digest("lib")
    path = f"/.flat/{image[7:9]}/{image[7:]}".encode()
    rows = [row for _, row in publisher.repository.namespace().walk(path)]
    pieces = [
        Piece(name, b"", row.size, row.mode, row.mtime)
        for row in rows
        for name in row.objects()
    ]
    held = {piece.name: piece.size for piece in pieces}
    files = list(
        items(pieces, lambda n: content if held[n] == LARGE else b"m" * held[n])
    )
    assert {file.path for file in files} == {INDEX, b"0" + RAW, b"1"}
    publisher.publish_at(path_of(image), *files)
    assert (
        len(of_files(publisher)) == before + 2
    )  # the index, and the part of the other
    cache = make_cache("cold")
    got = {}
    assert cache.bundle(image, got.__setitem__)
    tree = cache.image(image)
    assert (tree / "l.so").stat().st_ino == got[b"0" + RAW].stat().st_ino
    assert (tree / "l.so").read_bytes() == content
