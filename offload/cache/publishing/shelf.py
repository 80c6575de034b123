"""The repository as the publisher sees it: which images and layers are there, by name.

Layout (that of unpacked.cern.ch, so that its users find what they know)::

    .layers/ab/HEX/layerfs   a layer as it is, whiteouts too; ab begins HEX
    .layers/ab/HEX/implied   folders in it that are there only because something lies in
                             them, each closed by a NUL; if there are any
    .flat/ab/HEX             the tree of an image, HEX the digest of its manifest
    .metadata/ab/HEX         manifest.json of the image
    .bundles/HEX             what a cold start of the image needs, in few files
    images/HOST/NAME:TAG     link to the image's tree
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence

from offload.cache.cvmfs.changes import Changes
from offload.cache.cvmfs.errors import RepositoryError
from offload.cache.cvmfs.items import Item
from offload.cache.cvmfs.manifest import FILE_NAME, Manifest
from offload.cache.cvmfs.names import ObjectName, parent_of
from offload.cache.cvmfs.namespace import Namespace
from offload.cache.cvmfs.objects import content_of
from offload.cache.cvmfs.repository import Repository
from offload.cache.cvmfs.rows import Row
from offload.cache.cvmfs.transaction import Transaction
from offload.cache.publishing.errors import PublishingError
from offload.cache.publishing.images import Image, read_manifest
from offload.cache.publishing.references import (
    Reference,
    flat_path,
    layer_path,
    metadata_path,
)
from offload.cache.publishing.trees import LayerTree
from offload.cache.reading.bundles import Piece, path_of
from offload.snapshot.tree import Kind

_IMAGES = b"images"
_MANIFEST = b"manifest.json"
_FILES = b"/layerfs"
_IMPLIED = b"/implied"


class Shelf:
    """Reads what is published; any thread may ask."""

    def __init__(self, repository: Repository, architecture: str) -> None:
        self.repository = repository
        self._architecture = architecture
        self._lock = threading.Lock()
        self._seen: tuple[int, ...] = ()
        """Which file the manifest was read from: it is replaced, never changed."""
        self._newest: tuple[Manifest, Namespace] | None = None

    def head(self) -> Manifest:
        """Return the manifest of what is published."""
        with self._lock:
            return self._head_and_namespace()[0]

    def has_image(self, image: str) -> bool:
        """Whether an image's tree is there, whole."""
        return self._has(flat_path(image))

    def has_layer(self, layer: str) -> bool:
        """Whether a layer is there, whole."""
        return self._has(layer_path(layer))

    def meaning(self, reference: Reference) -> str | None:
        """Return the digest of the image that a name leads to; None if to none."""
        row = self._lookup(reference.link)
        return None if row is None else _digest_in(row.target)

    def names(self) -> dict[Reference, str]:
        """Return every name with the digest of its image."""
        found: dict[Reference, str] = {}
        with self._lock:
            for path, row in self._current().walk(b"/" + _IMAGES):
                if row.kind is Kind.LINK:
                    name = Reference.parse(path.split(b"/", 2)[2].decode())
                    found[name] = _digest_in(row.target)
        return found

    def images(self) -> list[str]:
        """Return the digests of all images that have a tree."""
        return [f"sha256:{name.decode()}" for name in self._hex_names(b"/.flat")]

    def layers(self) -> list[str]:
        """Return the digests of all layers."""
        return [f"sha256:{name.decode()}" for name in self._hex_names(b"/.layers")]

    def manifest(self, image: str) -> bytes | None:
        """Return the manifest of an image that is there."""
        return self._content(metadata_path(image) + b"/" + _MANIFEST)

    def image(self, digest: str) -> Image:
        """Return what an image is made of.

        Raises:
            PublishingError: it is not there.
        """
        data = self.manifest(digest)
        if data is None:
            raise PublishingError(f"{digest} is not published")
        image = read_manifest(data, self._architecture)
        assert isinstance(image, Image)
        return image

    def paths(self, image: str) -> list[bytes]:
        """Return where an image lies, with its layers; nowhere if it is not there."""
        if not self.has_image(image):
            return []
        layers = [layer_path(blob.digest) for blob in self.image(image).layers]
        return [path_of(image), flat_path(image), metadata_path(image), *layers]

    def implied(self, layer: str) -> list[bytes]:
        """Return the folders that a layer uses and does not have."""
        data = self._content(layer_path(layer) + _IMPLIED)
        return [] if data is None else data.split(b"\0")[:-1]

    def pieces(self, path: bytes) -> dict[ObjectName, Piece]:
        """Return every object that holds contents of files below a folder."""
        found: dict[ObjectName, Piece] = {}
        with self._lock:
            for place, row in self._current().walk(b"/" + path):
                folder = parent_of(place)[len(path) + 1 :]
                sizes = [chunk.size for chunk in row.chunks] or [row.size]
                for name, size in zip(row.objects(), sizes, strict=False):
                    piece = Piece(name, folder, size, row.mode, row.mtime)
                    found.setdefault(name, piece)
        return found

    def _has(self, path: bytes) -> bool:
        if self._lookup(path) is None:
            return False
        lost = self.repository.lost()
        try:
            return not lost or lost.isdisjoint(self.pieces(path))
        except RepositoryError:  # a catalogue
            return False

    def _content(self, path: bytes) -> bytes | None:
        row = self._lookup(path)
        if row is None:
            return None
        return b"".join(
            content_of(name, (self.repository.public / name.path).read_bytes())
            for name in row.objects()
        )

    def _hex_names(self, top: bytes) -> Iterator[bytes]:
        with self._lock:
            namespace = self._current()
            for folder in namespace.listing(top):
                for row in namespace.listing(top + b"/" + folder.name):
                    yield row.name

    def _lookup(self, path: bytes) -> Row | None:
        with self._lock:
            return self._current().lookup(b"/" + path)

    def _current(self) -> Namespace:
        return self._head_and_namespace()[1]

    def _head_and_namespace(self) -> tuple[Manifest, Namespace]:
        status = (self.repository.public / FILE_NAME).stat()
        seen = (status.st_ino, status.st_mtime_ns, status.st_size)
        if self._newest is None or seen != self._seen:
            head = self.repository.head()
            self._newest = head, self.repository.namespace(head.catalogue)
            self._seen = seen
        return self._newest


def put_image(
    change: Changes,
    image: Image,
    missing: Mapping[str, LayerTree],
    implied: Callable[[str], Sequence[bytes]],
) -> None:
    """Put an image's tree into a change, with the layers that are not there yet.

    Args:
        change: where to.
        image: what.
        missing: layers that are not there, by digest.
        implied: returns what :meth:`Shelf.implied` does, of the others.

    Raises:
        RefusedItemError: something in a layer cannot stand in a repository.
        RefusedImageError: a layer is unsafe.
        NoSpaceError: the disk is full.
    """
    for digest, layer in missing.items():
        path = layer_path(digest)
        change.put_tree(path + _FILES, layer.items())
        if layer.implied:
            data = b"".join(folder + b"\0" for folder in layer.implied)
            change.put(path + _IMPLIED, _file(data))
    layers = [blob.digest for blob in image.layers]
    change.merge(
        flat_path(image.digest),
        [layer_path(digest) + _FILES for digest in layers],
        [
            set(missing[digest].implied if digest in missing else implied(digest))
            for digest in layers
        ],
    )
    change.put(metadata_path(image.digest) + b"/" + _MANIFEST, _file(image.manifest))


def _file(content: bytes) -> Item:
    return Item(b"", Kind.FILE, 0o644, len(content), content=content)


def put_name(change: Changes, reference: Reference, image: str) -> None:
    """Let a name lead to an image, in place of what it meant."""
    up = b"../" * reference.link.count(b"/")
    change.symlink(reference.link, up + flat_path(image))


def remove_name(change: Transaction, reference: Reference) -> None:
    """Take a name away, and folders that nothing is in any more."""
    change.remove(reference.link)
    folder = parent_of(reference.link)
    while folder != _IMAGES and not any(change.walk(folder)):
        change.remove(folder)
        folder = parent_of(folder)


def remove_image(change: Transaction, image: str) -> None:
    """Take an image's tree away, and its bundle; its layers stay."""
    change.remove(path_of(image))
    change.remove(flat_path(image))
    change.remove(metadata_path(image))


def remove_layer(change: Transaction, layer: str) -> None:
    """Take a layer away."""
    change.remove(layer_path(layer))


def _digest_in(target: bytes) -> str:
    name = target.rpartition(b"/")[2].decode()
    try:
        flat_path(f"sha256:{name}")
    except PublishingError:
        raise RepositoryError(f"expected a link to an image, got {target!r}") from None
    return f"sha256:{name}"
