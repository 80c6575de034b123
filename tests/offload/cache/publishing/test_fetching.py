"""Blobs are read while they come; what came wrong is found before it counts."""

from __future__ import annotations

import os
import threading

import pytest

from offload.cache.publishing.errors import PublishingError
from offload.cache.publishing.fetching import fetching
from offload.snapshot.errors import DamagedError
from offload.snapshot.model import Blob
from offload.snapshot.store.local import LocalStore

DATA = os.urandom(3_000_000)
BLOB = Blob.of(DATA)


class Line:
    """A source whose bytes come when the test lets them."""

    def __init__(self) -> None:
        self.steps = threading.Semaphore(0)
        self.data = DATA
        self.breaks_at = -1

    def fetch(self, repository, blob, store, watcher):
        with store.writer() as writer:
            watcher.began(writer.draft)
            nothing = writer.mark()
            for start in range(0, len(self.data), 1_000_000):
                assert self.steps.acquire(timeout=30)
                if writer.size == self.breaks_at:
                    watcher.got(-writer.size)
                    writer.back_to(nothing)
                piece = self.data[start : start + 1_000_000]
                writer.write(piece)
                watcher.got(len(piece))
            writer.commit(blob.digest)


@pytest.fixture
def store(tmp_path):
    return LocalStore(tmp_path / "store")


@pytest.fixture
def told():
    return []


@pytest.fixture
def line():
    return Line()


def fetched(line, store, told):
    return fetching(line, "env", [BLOB], store, told.append)


def test_what_has_come_is_read_before_the_rest_has(line, store, told):
    with fetched(line, store, told) as found, found.open(BLOB) as file:
        line.steps.release()
        assert file.read(900_000) == DATA[:900_000]
        assert not store.has(BLOB.digest)
        line.steps.release(2)
        assert file.read() == DATA[900_000:]
        found.finish()
        assert store.has(BLOB.digest)
        with found.open(BLOB) as again:
            assert again.read() == DATA
    assert told[0] == 0


def test_who_waits_is_told_that_it_came_wrong(line, store, told):
    line.data = DATA[:-1] + bytes([DATA[-1] ^ 1])
    line.steps.release(3)
    with fetched(line, store, told) as found:
        with pytest.raises(DamagedError):
            found.finish()
        # Not as what a layer's archive is when it is damaged: that is never tried again.
        with found.open(BLOB) as file, pytest.raises(PublishingError, match="expected"):
            file.read()
    assert not store.has(BLOB.digest)


@pytest.mark.parametrize("is_read", [True, False])
def test_what_comes_anew_is_not_read_on(is_read, line, store, told):
    line.breaks_at = 1_000_000
    with fetched(line, store, told) as found, found.open(BLOB) as file:
        line.steps.release()
        if is_read:
            file.read(10)
        line.steps.release(2)
        with pytest.raises(PublishingError if is_read else DamagedError):
            found.finish()
    assert not store.has(BLOB.digest)


def test_who_gives_up_does_not_wait_for_the_rest(line, store, told):
    def fail() -> None:
        with fetched(line, store, told) as found, found.open(BLOB) as file:
            line.steps.release()
            file.read(10)
            line.steps.release()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not list((store.path / "drafts").iterdir())
