"""Images made by other tools than ours, and a publisher that gets them."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from offload import zstd
from offload.cache.cvmfs.keys import Keys
from offload.cache.cvmfs.objects import content_of
from offload.cache.cvmfs.repository import Repository
from offload.cache.publishing.publisher import Publisher
from offload.cache.publishing.queue import Queue
from offload.cache.publishing.references import Reference, Wish
from offload.cache.publishing.shelf import Shelf
from offload.cache.publishing.sources import NOBODY
from offload.snapshot.store.local import LocalStore

FQRN = "images.example.org"
ARCHIVES: dict[str, Callable[[bytes], bytes]] = {
    "tar": lambda data: data,
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "zstd": zstd.compress,
}


def tar_of(*members: tuple[str, object], form: int = tarfile.PAX_FORMAT) -> bytes:
    """Make an archive: text ends in / for a folder; bytes, a link's target, a type."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as archive:
        for name, what in members:
            info = tarfile.TarInfo(name)
            info.mtime = 1_700_000_000
            if isinstance(what, tarfile.TarInfo):
                info = what
                archive.addfile(info)
            elif isinstance(what, bytes):
                info.size = len(what)
                archive.addfile(info, io.BytesIO(what))
            elif isinstance(what, str):
                info.type, info.linkname = tarfile.SYMTYPE, what
                archive.addfile(info)
            elif isinstance(what, tuple):
                info.type, info.linkname = what
                archive.addfile(info)
            else:
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(info)
    return stream.getvalue()


@dataclass
class MadeImage:
    """An image's blobs by digest."""

    manifest: bytes
    blobs: dict[str, bytes] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        return digest(self.manifest)


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def image_of(
    *layers: bytes,
    annotations: dict[str, str] | None = None,
    labels: dict[str, str] | None = None,
    form: str = "gzip",
) -> MadeImage:
    packed = [ARCHIVES[form](layer) for layer in layers]
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Labels": labels or {}},
            "rootfs": {"type": "layers", "diff_ids": [digest(x) for x in layers]},
        }
    ).encode()
    suffix = {"tar": "", "gzip": "+gzip", "zstd": "+zstd"}[form]
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": digest(config),
            "size": len(config),
        },
        "layers": [
            {
                "mediaType": f"application/vnd.oci.image.layer.v1.tar{suffix}",
                "digest": digest(each),
                "size": len(each),
            }
            for each in packed
        ],
        **({"annotations": annotations} if annotations else {}),
    }
    blobs = {digest(each): each for each in (config, *packed)}
    return MadeImage(json.dumps(manifest).encode(), blobs)


@pytest.fixture
def make_tar():
    return tar_of


@pytest.fixture
def make_image():
    return image_of


@pytest.fixture
def archives():
    return ARCHIVES


@pytest.fixture
def blob(tmp_path: Path):
    """Write bytes to a file and open it, as a spool would."""

    def opened(data: bytes):
        path = tmp_path / hashlib.sha256(data).hexdigest()
        path.write_bytes(data)
        return path.open("rb", buffering=0)

    return opened


class FakeRegistry:
    """What a registry has now; every blob that is fetched is noted."""

    def __init__(self) -> None:
        self.tags: dict[tuple[str, str], bytes] = {}
        self.blobs: dict[str, bytes] = {}
        self.fetched: list[str] = []
        self.broken: Exception | None = None

    def push(self, repository, tag, image) -> None:
        self.blobs |= image.blobs
        self.tags[repository, tag] = image.manifest
        self.tags[repository, image.digest] = image.manifest

    def manifest(self, repository, version):
        if self.broken:
            raise self.broken
        return self.tags.get((repository, version))

    def fetch(self, repository, blob, store, watcher=NOBODY):
        if store.has(blob.digest):
            return
        self.fetched.append(blob.digest)
        with store.writer() as writer:
            watcher.began(writer.draft)
            data = self.blobs[blob.digest]
            for start in range(0, len(data), 1 << 20):
                piece = data[start : start + (1 << 20)]
                writer.write(piece)
                watcher.got(len(piece))
                self.came(writer.size)
            writer.commit(blob.digest)

    def came(self, size) -> None:
        """So much of a blob is in the store."""


class Bench:
    """A publisher with a registry ``h``, and what a reader sees of it."""

    def __init__(self, folder, keys, wishes=()):
        self.registry = FakeRegistry()
        self.repository = Repository(folder / "repository", FQRN, keys).create()
        self.shelf = Shelf(self.repository, "amd64")
        self.queue = Queue(folder / "queue.sqlite")
        self.store = LocalStore(folder / "store")
        self.now = 1000.0
        self.publisher = Publisher(
            self.shelf,
            self.queue,
            self.store,
            {"h": self.registry},
            [Wish.parse(wish) for wish in wishes],
            "amd64",
            folder,
            lambda: self.now,
        )

    def push(self, image, tag="v1", repository="env"):
        reference = Reference("h", repository, tag)
        self.registry.push(repository, tag, image)
        self.queue.ask([reference], self.now)
        while self.publisher.step():
            pass
        return self.queue.entry(reference)

    @property
    def revision(self):
        return self.repository.head().revision

    def tree(self, digest) -> dict[str, object]:
        name = digest.removeprefix("sha256:")
        top = f"/.flat/{name[:2]}/{name}".encode()
        return {
            path[len(top) + 1 :].decode(): (
                row.target.decode()
                or (self.read(row) if row.digest or row.chunks else None)
            )
            for path, row in self.repository.namespace().walk(top)
        }

    def read(self, row) -> bytes:
        return b"".join(
            content_of(name, (self.repository.public / name.path).read_bytes())
            for name in row.objects()
        )


@pytest.fixture(scope="session")
def keys():
    return Keys.generate(FQRN, datetime.now(UTC))


@pytest.fixture
def make_bench(tmp_path, keys):
    with ExitStack() as stack:

        def make(*wishes):
            bench = Bench(tmp_path, keys, wishes)
            stack.callback(bench.queue.close)
            return bench

        yield make


@pytest.fixture
def bench(make_bench):
    return make_bench()
