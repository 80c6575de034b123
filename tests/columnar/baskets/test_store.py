"""The private folder: whole entries or none, ours only, bounded."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from facility.columnar.baskets import store
from facility.columnar.baskets.store import read_entry, read_part, write_entry


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "analysis-facility" / "columnar" / "things"


def test_what_is_written_is_read(folder):
    assert read_entry("things", "a") is None
    write_entry("things", "a", b"payload")
    assert read_entry("things", "a") == b"payload"
    assert read_part("things", "a", 3, 4) == b"load"
    assert read_part("things", "a", 3, 5) is None
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [p.name for p in folder.iterdir()] == ["a"]


@pytest.mark.parametrize("at", [0, 20, -1])
def test_a_damaged_entry_is_none(folder, at):
    write_entry("things", "a", b"payload")
    data = bytearray((folder / "a").read_bytes())
    data[at] ^= 1
    (folder / "a").write_bytes(data)
    assert read_entry("things", "a") is None
    (folder / "a").write_bytes(b"")
    assert read_entry("things", "a") is None


def test_a_folder_that_others_can_write_is_not_believed(folder):
    write_entry("things", "a", b"payload")
    folder.chmod(0o770)
    assert read_entry("things", "a") is None
    write_entry("things", "b", b"payload")
    assert not (folder / "b").exists()


def test_a_link_is_not_our_folder(folder, tmp_path):
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    folder.parent.mkdir(parents=True)
    folder.symlink_to(tmp_path / "elsewhere")
    write_entry("things", "a", b"payload")
    assert not list((tmp_path / "elsewhere").iterdir())


def test_the_oldest_go(folder, monkeypatch):
    monkeypatch.setattr(store, "MOST_BYTES", 3000)
    for i in range(6):
        write_entry("things", f"{i}", bytes(1000 - 16))
        os.utime(folder / f"{i}", (i, i))
    assert sorted(p.name for p in folder.iterdir()) == ["3", "4", "5"]


def test_readers_see_one_of_the_payloads_whole():
    payloads = [bytes([i]) * 50_000 for i in range(8)]

    def rewrite(payload):
        for _ in range(20):
            write_entry("things", "a", payload)
            assert read_entry("things", "a") in payloads

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(rewrite, payloads))
