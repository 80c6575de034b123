"""What a bundle has is in memory when a job asks, verified, and otherwise is not there."""

import os
import random
import threading
from pathlib import Path

import pytest

from offload.cache.cvmfs.names import ObjectName
from offload.cache.reading.ahead import Ahead
from offload.cache.reading.bundles import INDEX, LEAST_PART, Piece, items
from offload.cache.reading.mounted import _follow
from offload.cache.reading.store import Store

ALL = 1 << 30


@pytest.fixture(scope="module")
def contents():
    rng = random.Random(1)
    made = [rng.randbytes(rng.randrange(1, LEAST_PART // 8)) for _ in range(60)]
    return {ObjectName(rng.randbytes(20)): content for content in made}


@pytest.fixture(scope="module")
def published(contents):
    pieces = [Piece(name, b"lib", len(content)) for name, content in contents.items()]
    return [(i.path, i.content) for i in items(pieces, contents.__getitem__)]


@pytest.fixture
def files(tmp_path, published):
    """Name and place of each file of a bundle, as a site's store has them."""
    store = Store(tmp_path)
    return [
        (name, tmp_path / store.path(store.add(f"{n:040x}", [data])))
        for n, (name, data) in enumerate(published)
    ]


@pytest.fixture
def ahead():
    ahead = Ahead()
    yield ahead
    ahead.close()


def bring(ahead, files):
    for name, path in files:
        ahead.add(name, path)
    ahead.end()


def test_all_that_a_bundle_has_is_there_in_any_order(ahead, files, contents):
    assert len(files) > 3
    bring(ahead, files)
    for name in [*reversed(contents), *contents]:
        assert ahead.read(name, 0, ALL) == contents[name]
        assert ahead.read(name, 1, 10) == contents[name][1:11]
        assert ahead.read(name, len(contents[name]), 10) == b""
    assert ahead.read(ObjectName(bytes(20)), 0, ALL) is None


def test_many_threads_that_ask_before_it_is_there_get_it(ahead, files, contents):
    got = {}

    def ask(seed):
        order = random.Random(seed).sample(list(contents), len(contents))
        got[seed] = {name: ahead.read(name, 0, ALL) for name in order}

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    assert got == {}
    bring(ahead, files)
    for thread in threads:
        thread.join()
    assert list(got.values()) == [contents] * 8


def test_who_gives_up_does_not_wait_for_what_is_on_its_way(ahead, files, contents):
    def give_up(_work):
        raise InterruptedError

    name = next(iter(contents))
    with pytest.raises(InterruptedError):
        ahead.read(name, 0, ALL, give_up)
    ahead.add(INDEX, dict(files)[INDEX])
    with pytest.raises(InterruptedError):
        ahead.read(name, 0, ALL, give_up)
    bring(ahead, files)
    assert ahead.read(name, 0, ALL, give_up) == contents[name]


def test_what_has_come_is_there_before_the_rest_is(ahead, files, contents):
    by_name = dict(files)
    ahead.add(b"1", by_name[b"1"])
    ahead.add(INDEX, by_name[INDEX])
    here = [name for name in contents if ahead._places[name].part == 1]
    assert here
    for name in here:
        assert ahead.read(name, 0, ALL) == contents[name]
    ahead.end()
    rest = contents.keys() - here
    assert {ahead.read(name, 0, ALL) for name in rest} == {None}


def test_without_a_bundle_nothing_is_there(ahead, contents):
    ahead.end()
    assert ahead.read(next(iter(contents)), 0, ALL) is None


def test_nobody_waits_for_what_a_killed_one_would_have_brought(ahead, files, contents):
    some = [b"%s %s" % (name, os.fsencode(path)) for name, path in files[:2]]
    _follow(iter(some), ahead, files[0][1])
    assert [ahead.read(name, 0, ALL) for name in contents].count(None) > 1


@pytest.mark.parametrize("gone", [INDEX, b"0"])
def test_a_file_of_it_that_is_gone_holds_nothing(ahead, files, contents, gone):
    dict(files)[gone].unlink()
    bring(ahead, files)
    got = [ahead.read(name, 0, ALL) for name in contents]
    assert None in got
    assert all(g in {None, c} for g, c in zip(got, contents.values(), strict=True))


def test_no_flipped_byte_of_a_bundle_is_ever_shown(files, contents):
    rng = random.Random(2)
    for number in range(3 * len(files)):
        _, path = files[number % len(files)]
        good = path.read_bytes()
        bad = bytearray(good)
        bad[rng.randrange(len(bad))] ^= 1 << rng.randrange(8)
        path.chmod(0o600)
        path.write_bytes(bad)
        ahead = Ahead()
        bring(ahead, files)
        got = [ahead.read(name, 0, ALL) for name in contents]
        ahead.close()
        path.write_bytes(good)
        assert None in got
        assert all(g in {None, c} for g, c in zip(got, contents.values(), strict=True))


def test_a_part_that_holds_less_than_the_index_says_is_not_shown(
    ahead, files, published, contents, tmp_path
):
    index = dict(published)[INDEX]
    cut = Store(tmp_path / "cut")
    lied = index[:-4] + b"\x00\x7f\xff\xff"  # the size of the last object
    bring(ahead, [*files[:-1], (INDEX, Path(cut.path(cut.add("0" * 40, [lied]))))])
    got = [ahead.read(name, 0, ALL) for name in contents]
    assert got == [*list(contents.values())[:-1], None]


def test_what_was_given_up_is_unpacked_again(files, contents, monkeypatch):
    monkeypatch.setattr("offload.cache.reading.ahead._KEPT_S", 0.01)
    ahead = Ahead()
    bring(ahead, files)
    for _ in range(3):
        for name, content in contents.items():
            assert ahead.read(name, 0, ALL) == content
        while any(part._data is not None for part in ahead._parts.values()):
            threading.Event().wait(0.01)
    ahead.close()


def test_a_part_that_changes_after_it_was_given_up_is_not_shown(
    files, contents, monkeypatch
):
    monkeypatch.setattr("offload.cache.reading.ahead._KEPT_S", 0.01)
    ahead = Ahead()
    bring(ahead, files)
    name = next(iter(contents))
    path = dict(files)[b"%d" % ahead._places[name].part]
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1])
    while ahead.read(name, 0, ALL) is not None:
        threading.Event().wait(0.01)
    ahead.close()
