"""What a bundle has is in memory when a job asks, verified, and otherwise is not there."""

import random
import threading

import pytest

from offload.cache.cvmfs.names import ObjectName
from offload.cache.cvmfs.objects import compress
from offload.cache.reading.ahead import Ahead
from offload.cache.reading.bundles import Use, pack


@pytest.fixture
def contents():
    rng = random.Random(1)
    return [rng.randbytes(rng.randrange(1, 100_000)) for _ in range(60)]


@pytest.fixture
def names(contents):
    return [ObjectName.of(compress(content)) for content in contents]


@pytest.fixture
def bundle(tmp_path, contents, names):
    packed = dict(zip(names, map(compress, contents), strict=True))
    path = tmp_path / "bundle"
    uses = [Use(name, 0o644, 0) for name in names]
    path.write_bytes(b"".join(pack(uses, packed.__getitem__)))
    return path


@pytest.fixture
def ahead():
    ahead = Ahead()
    yield ahead
    ahead.close()


def test_all_that_a_bundle_has_is_there_in_any_order(ahead, bundle, contents, names):
    ahead.open(bundle)
    expected = list(zip(names, contents, strict=True))
    for name, content in [*reversed(expected), *expected]:
        assert ahead.content(name) == content
    assert ahead.content(ObjectName(bytes(20))) is None


def test_many_threads_that_ask_before_it_is_there_get_it(
    ahead, bundle, contents, names
):
    got = {}

    def ask(seed):
        order = random.Random(seed).sample(names, len(names))
        got[seed] = {name: ahead.content(name) for name in order}

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    assert got == {}
    ahead.open(bundle)
    for thread in threads:
        thread.join()
    expected = dict(zip(names, contents, strict=True))
    assert list(got.values()) == [expected] * 8


def test_without_a_bundle_nothing_is_there(ahead, names):
    ahead.open(None)
    assert ahead.content(names[0]) is None


def test_a_bundle_that_is_gone_is_none(ahead, tmp_path, names):
    ahead.open(tmp_path / "nothing")
    assert ahead.content(names[0]) is None


def test_no_flipped_byte_of_a_bundle_is_ever_shown(bundle, contents, names):
    good = bundle.read_bytes()
    rng = random.Random(2)
    lacking = 0
    for _ in range(40):
        bad = bytearray(good)
        bad[rng.randrange(len(bad))] ^= 1 << rng.randrange(8)
        bundle.write_bytes(bad)
        ahead = Ahead()
        ahead.open(bundle)
        for name, content in zip(names, contents, strict=True):
            got = ahead.content(name)
            assert got in {content, None}
            lacking += got is None
        ahead.close()
    assert lacking >= 20


def test_of_a_bundle_that_is_cut_the_rest_is_there(ahead, bundle, contents, names):
    bundle.write_bytes(bundle.read_bytes()[:-5])
    ahead.open(bundle)
    assert ahead.content(names[0]) == contents[0]
    assert ahead.content(names[-1]) is None


def test_what_was_given_up_is_unpacked_again(
    ahead, bundle, contents, names, monkeypatch
):
    monkeypatch.setattr("offload.cache.reading.ahead._KEPT_S", 0.01)
    ahead.open(bundle)
    for _ in range(3):
        for name, content in zip(names, contents, strict=True):
            assert ahead.content(name) == content
        while ahead._contents:
            threading.Event().wait(0.01)
