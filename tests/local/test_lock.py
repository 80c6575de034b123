"""Who holds a lock, and who only looks."""

import os
import threading

import pytest

from facility.local import lock
from facility.local.lock import is_locked, try_lock


@pytest.fixture
def path(tmp_path):
    return tmp_path / "lock"


def test_a_holder_is_seen_and_refuses_others(path):
    assert not is_locked(path)
    handle = try_lock(path)
    assert handle is not None
    assert is_locked(path)
    assert try_lock(path) is None
    os.close(handle)
    assert not is_locked(path)


def test_who_looks_is_not_taken_for_a_holder(path, monkeypatch):
    os.close(lock._open(path))
    close, seen = os.close, []

    def another_looks(handle):
        monkeypatch.setattr(lock.os, "close", close)
        seen.append(is_locked(path))
        close(handle)

    monkeypatch.setattr(lock.os, "close", another_looks)
    assert not is_locked(path)
    assert seen == [False]


def test_who_has_it_for_an_instant_is_outlasted(path):
    handle = try_lock(path)
    timer = threading.Timer(0.1, os.close, [handle])
    timer.start()
    mine = try_lock(path, patience_s=30)
    timer.join()
    assert mine is not None
    assert is_locked(path)
    os.close(mine)
