"""Keys made once, and repositories whose clock stands where a test puts it."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from offload.cache.cvmfs.items import Item
from offload.cache.cvmfs.keys import Keys
from offload.cache.cvmfs.repository import Repository, Settings
from offload.snapshot.tree import Kind

FQRN = "environments.example.org"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **by: float) -> None:
        self.now += timedelta(**by)


def file(path: bytes, content: bytes = b"", mode: int = 0o644, **more: object) -> Item:
    return Item(path, Kind.FILE, mode, len(content), content=content, **more)


def named(path: bytes, content: bytes) -> Item:
    """A file whose digest is known and whose content must not be read."""

    def fail():
        raise AssertionError(f"{path!r} is read")

    sha256 = hashlib.sha256(content).hexdigest()
    return Item(path, Kind.FILE, 0o644, len(content), content=fail, sha256=sha256)


def folder(path: bytes, mode: int = 0o755) -> Item:
    return Item(path, Kind.FOLDER, mode)


def link(path: bytes, target: bytes) -> Item:
    return Item(path, Kind.LINK, 0o777, target=target)


class Make:
    file, named, folder, link = map(staticmethod, (file, named, folder, link))


@pytest.fixture
def make():
    return Make


@pytest.fixture(scope="session")
def keys() -> Keys:
    return Keys.generate(FQRN, NOW)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def repository(tmp_path: Path, keys: Keys, clock: Clock) -> Repository:
    return Repository(
        tmp_path / "repository", FQRN, keys, Settings(level=1, workers=2), clock
    ).create()


@pytest.fixture
def contents():
    """Read all of a revision: path to (kind, mode, content or target)."""

    def read(repository: Repository, root=None) -> dict[bytes, tuple]:
        found = {}
        for path, row in repository.namespace(root).walk(b""):
            data = b"".join(map(repository._storage.read, row.objects()))
            assert row.kind is not Kind.FILE or len(data) == row.size
            found[path] = row.kind, row.mode, row.target or data
        return found

    return read
