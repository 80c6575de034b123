"""What was kept is there whole or not at all, and never more than may be."""

import multiprocessing
import os
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facility.columnar.caching import ColumnStore, default_store
from facility.columnar.caching.entry import DamagedError, decoded, header
from facility.errors import UsageError


def used_bytes(store):
    return sum(p.stat().st_size for p in store.folder.rglob("*") if p.is_file())


@pytest.mark.parametrize("kind", ["<f4", "<f8", "<i4", "<u8", "|b1", "|i1", "<i2"])
@pytest.mark.parametrize("count", [0, 1, 1000])
def test_arrays_come_back(store, kind, count):
    array = (np.arange(count) % 2).astype(kind)
    assert store.get("a") is None
    store.put("a", array)
    found = store.get("a")
    assert found.dtype == array.dtype
    assert found.tolist() == array.tolist()
    assert not found.flags.writeable
    assert store.get("b") is None


@given(st.binary(min_size=0, max_size=200), st.integers(0, 200))
def test_bytes_that_changed_are_not_taken(noise, cut):
    whole = header(np.arange(10.0)) + np.arange(10.0).tobytes()
    changed = whole[:cut] + noise + whole[cut + len(noise) :]
    if changed != whole:
        # The last half of the header is empty: nothing in it has a meaning.
        try:
            assert decoded(memoryview(changed)).tolist() == list(range(10))
            assert changed[:32] == whole[:32]
            assert changed[64:] == whole[64:]
        except DamagedError:
            pass


@pytest.mark.parametrize(
    "damage",
    [
        lambda p: p.write_bytes(p.read_bytes()[:-1]),
        lambda p: p.write_bytes(b""),
        lambda p: p.write_bytes(b"\0" * p.stat().st_size),
        lambda p: p.write_bytes(p.read_bytes()[:-1] + b"\x7f"),
    ],
)
def test_a_damaged_file_is_not_there_and_can_be_written_again(store, damage):
    store.put("a", np.arange(100.0))
    (path,) = store.folder.rglob("*.column")
    damage(path)
    assert store.get("a") is None
    store.put("a", np.arange(100.0))
    assert store.get("a")[99] == 99


def test_what_was_used_longest_ago_goes_first(store):
    for i in range(90):
        store.put(f"{i}", np.zeros(1000, np.float64))
    for path in store.folder.rglob("*.column"):
        os.utime(path, (path.stat().st_atime, path.stat().st_mtime - 100))
    assert store.get("0") is not None  # it is the one that was used last
    for i in range(90, 190):
        store.put(f"{i}", np.zeros(1000, np.float64))
        assert used_bytes(store) <= store.limit_bytes
    assert store.get("0") is not None
    assert store.get("1") is None
    assert store.get("189") is not None


def test_what_is_too_large_is_not_kept(store):
    store.put("a", np.zeros(store.limit_bytes // 10 + 8, np.uint8))
    assert store.get("a") is None


def test_an_array_outlives_its_file(store):
    store.put("a", np.arange(100.0))
    found = store.get("a")
    for path in store.folder.rglob("*.column"):
        path.unlink()
    assert found[99] == 99


def test_drafts_of_the_dead_are_removed(store):
    store.put("a", np.zeros(1))
    old, new = (store.folder / "00" / f"{n}.draft" for n in ("old", "new"))
    old.parent.mkdir(exist_ok=True)
    for path in (old, new):
        path.write_bytes(b"x")
    os.utime(old, (0, time.time() - 4000))
    list(store._files())
    assert not old.exists()
    assert new.exists()


def test_a_folder_that_cannot_be_written_is_an_empty_cache(tmp_path):
    (tmp_path / "file").touch()
    store = ColumnStore(tmp_path / "file", 10**6)
    store.put("a", np.zeros(1))
    assert store.get("a") is None


def _fill(folder, seed):
    store = ColumnStore(folder, 200_000)
    for i in np.random.default_rng(seed).integers(0, 50, 150):
        found = store.get(f"{i}")
        if found is None:
            store.put(f"{i}", np.full(1000, i, np.float64))
        else:
            assert (found == i).all()


def test_processes_share_a_store(tmp_path):
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_fill, args=(tmp_path, s)) for s in range(2)]
    for process in processes:
        process.start()
    _fill(tmp_path, 9)
    for process in processes:
        process.join()
        assert process.exitcode == 0
    # Above the bound by what others wrote since it last looked, and no more.
    assert used_bytes(ColumnStore(tmp_path, 0)) <= 2 * 200_000
    assert not list(tmp_path.rglob("*.draft"))


@pytest.fixture
def environment(monkeypatch, tmp_path):
    default_store.cache_clear()
    monkeypatch.setenv("FACILITY_COLUMN_CACHE", str(tmp_path / "mine"))
    yield monkeypatch
    default_store.cache_clear()


def test_the_environment_sets_folder_and_size(environment, tmp_path):
    environment.setenv("FACILITY_COLUMN_CACHE_GB", "1.5")
    store = default_store()
    assert store.folder == tmp_path / "mine"
    assert store.limit_bytes == 1_500_000_000
    assert store.folder.stat().st_mode & 0o777 == 0o700


def test_no_size_is_no_cache(environment):
    environment.setenv("FACILITY_COLUMN_CACHE_GB", "0")
    assert default_store() is None


def test_a_size_that_is_none_is_said(environment):
    environment.setenv("FACILITY_COLUMN_CACHE_GB", "much")
    with pytest.raises(UsageError, match="GB=much: expected gigabytes"):
        default_store()
