"""What is frozen while others write: whole states, and nothing changes afterwards."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from offload.snapshot import (
    ChangingError,
    LocalStore,
    Request,
    changes_since,
    freeze,
    manifest,
    scan,
    verify,
)
from offload.snapshot.layers import packer
from tests.offload.snapshot import restless_writer as restless

SCRIPT = restless.__file__


@contextmanager
def writers(root: Path, processes: int, files: int, pause_s: float) -> Iterator[None]:
    """Let programs change files below a folder."""
    for number in range(7):
        (root / str(number)).mkdir(parents=True, exist_ok=True)
    running = [
        subprocess.Popen(
            [sys.executable, SCRIPT, root, *map(str, (n * files, files, pause_s, n))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for n in range(processes)
    ]
    try:
        for process in running:
            assert process.stdout.readline() == b"begun\n"
        yield
        assert all(process.poll() is None for process in running)
    finally:
        for process in running:
            process.stdin.close()
            process.wait(10)
            process.stdout.close()


def freeze_often(root, store, directory, restore, times):
    """Freeze again and again; return what could be frozen and what was refused."""
    frozen, refused = [], []
    before = os.listdir("/proc/self/fd")
    for number in range(times):
        try:
            frozen.append(freeze(Request(root), store))
        except ChangingError as error:
            refused.append(str(error))
            continue
        again = restore(frozen[-1], store, directory / str(number))
        for path in again.rglob("*"):
            if path.is_file() and not path.name.endswith(".draft"):
                assert restless.is_a_state(path.read_bytes()), path
        assert scan(again) == manifest(frozen[-1], store, "code")
    assert len(os.listdir("/proc/self/fd")) == len(before)
    assert not list((store.path / "drafts").iterdir())
    return frozen, refused


@pytest.fixture
def slow_reading(monkeypatch):
    """Read in small pieces and with pauses: writers come in between, every time."""
    readv = os.readv

    def slowly(descriptor, buffers):
        time.sleep(0.0002)
        return readv(descriptor, buffers)

    monkeypatch.setattr(os, "readv", slowly)
    monkeypatch.setattr(packer, "_WHOLE", 0)
    monkeypatch.setattr(packer, "PIECE", 1 << 14)


@pytest.mark.usefixtures("slow_reading")
def test_each_file_is_one_state_that_did_exist(store, tmp_path, restore):
    root = tmp_path / "root"
    with writers(root, processes=1, files=25, pause_s=0.002):
        frozen, refused = freeze_often(root, store, tmp_path / "again", restore, 10)
    assert len(frozen) > len(refused)
    assert len({snapshot.id for snapshot in frozen}) > 1  # they did write
    for snapshot in frozen:  # and what came later changed nothing
        assert verify(snapshot, store) == []


def test_what_changes_all_the_time_is_reported(store, tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    path = root / "never still"
    path.write_bytes(b"")
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():  # no pause: on a busy machine it would be a long one
            number += 1
            path.write_bytes(b"%d" % number)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        with pytest.raises(
            ChangingError, match="never still: changed each of"
        ) as caught:
            freeze(Request(root), store)
    finally:
        stop.set()
        thread.join()
    assert "\n" not in str(caught.value)
    assert store.images() == ()
    assert not list((store.path / "drafts").iterdir())


def test_a_change_under_the_same_times_is_seen(store, tmp_path, make):
    """Just written, same size, times put back: only the time of change tells."""
    root = tmp_path / "root"
    for number in range(20):
        make(root, {b"file": b"%04d" % number})
        os.utime(root / "file", (1, 1))
        snapshot = freeze(Request(root), store)
        assert manifest(snapshot, store, "code") == scan(root)
        make(root, {b"file": b"%04d" % (number + 1000)})
        os.utime(root / "file", (1, 1))
        assert changes_since(snapshot, store).changed == (b"file",)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_thousand_writers(tmp_path, restore):
    store = LocalStore(tmp_path / "store")
    root = tmp_path / "root"
    with writers(root, processes=10, files=100, pause_s=0.02):
        frozen, refused = freeze_often(root, store, tmp_path / "again", restore, 100)
        assert len(frozen) > len(refused)
        for _ in range(1000):
            assert verify(frozen[0], store) == []
    assert all(verify(snapshot, store) == [] for snapshot in frozen)
