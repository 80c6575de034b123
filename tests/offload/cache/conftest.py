"""Small snapshots in a store at home, and a site's cache to receive them."""

import hashlib
from pathlib import Path

import pytest

from offload.cache import SiteCache
from offload.snapshot import Base, Entry, Kind, LocalStore, Part, Snapshot, Tree
from offload.snapshot.images.image import blobs, write_image
from offload.snapshot.images.manifests import write_trees
from offload.snapshot.layers.writing import LayerWriter

BASE = Base("x86_64", "glibc", "2.36", "/usr/bin/python3", "3.11.2")


def file(path: bytes, content: bytes, mode: int = 0o644) -> tuple[Entry, bytes]:
    sha256 = hashlib.sha256(content).hexdigest()
    return Entry(path, Kind.FILE, mode, len(content), sha256), content


def folder(path: bytes, mode: int = 0o755) -> tuple[Entry, bytes]:
    return Entry(path, Kind.FOLDER, mode), b""


def link(path: bytes, target: bytes) -> tuple[Entry, bytes]:
    return Entry(path, Kind.LINK, 0o777, target=target), b""


class Home:
    """Where snapshots are made."""

    file, folder, link = staticmethod(file), staticmethod(folder), staticmethod(link)

    def __init__(self, path: Path) -> None:
        self.store = LocalStore(path)

    def layer(self, role, members, removed=()):
        with LayerWriter(self.store, role) as layer:
            for path in removed:
                layer.remove(path)
            for entry, content in members:
                layer.add(entry, content)
            return layer.commit()

    def snapshot(self, **parts) -> Snapshot:
        """Make one of parts, each a list of layers (members) and, last, its tree."""
        made, trees, all_layers = [], {}, []
        for role, (layers, members) in parts.items():
            tree = Tree.of(entry for entry, _ in members)
            trees[role] = tree
            all_layers += layers
            made.append(
                Part(
                    role,
                    f"/home/u/{role}",
                    tree.digest,
                    tree.files,
                    tree.size,
                    tuple(layer.digest for layer in layers),
                )
            )
        identity = hashlib.sha256(repr(made).encode()).hexdigest()
        snapshot = Snapshot(
            f"sha256:{identity}", "", tuple(made), BASE, None, "2026-11-21T00:00:00Z"
        )
        layers = [*dict.fromkeys(all_layers), write_trees(self.store, trees)]
        return write_image(self.store, snapshot, layers)

    def simple(self, *members) -> Snapshot:
        """Make one of a single part ``code`` in a single layer."""
        return self.snapshot(code=([self.layer("code", members)], members))

    def blobs(self, snapshot):
        return blobs(snapshot, self.store)

    def send(self, snapshot, cache: SiteCache) -> int:
        """Send what the site lacks; return how many bytes went."""
        sizes = {blob.digest: blob.size for blob in self.blobs(snapshot)}
        sent = 0
        for missing in cache.missing(self.blobs(snapshot)):
            data = self.store.read(missing.digest)[missing.offset :]
            incoming = cache.incoming(missing.digest, sizes[missing.digest])
            incoming.append(missing.offset, data)
            assert incoming.commit()
            sent += len(data)
        return sent


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "home")


@pytest.fixture
def work(tmp_path):
    return tmp_path / "work"


@pytest.fixture
def cache(work):
    return SiteCache(work)


@pytest.fixture
def tree_of(work):
    """Return the tree of a snapshot's part at the site."""

    def tree_of(snapshot, role="code"):
        return work / "trees" / snapshot.part(role).tree.removeprefix("sha256:")

    return tree_of
