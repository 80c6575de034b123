"""Says what is wrong with a snapshot in a store, if anything is."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

from offload.snapshot.errors import DamagedError, MissingError, UnsafeLayerError
from offload.snapshot.files.reading import show
from offload.snapshot.files.survey import WHITEOUT
from offload.snapshot.images.image import Image, read_image
from offload.snapshot.images.manifests import read_trees
from offload.snapshot.layers.reading import Layer
from offload.snapshot.layers.tar import Member
from offload.snapshot.model import Blob, Part, Snapshot
from offload.snapshot.store.local import LocalStore
from offload.snapshot.tree import PERMISSIONS, Entry, Kind, Tree

_PIECE = 1 << 20


def verify(snapshot: Snapshot, store: LocalStore) -> list[str]:
    """Read every byte of a snapshot; return one line per problem, none if it is whole.

    Blobs must be what their names say, the manifests what the snapshot's record says,
    and the layers of each part, one on top of the other, what its manifest says.
    """
    try:
        image = read_image(store, snapshot.image)
    except (MissingError, DamagedError) as error:
        return [str(error)]
    problems = [line for blob in image.blobs for line in _check_blob(store, blob)]
    if problems:  # what they hold would only repeat it
        return problems
    try:
        trees = read_trees(store, image)
        for part in image.snapshot.parts:
            problems += _check_part(store, part, trees[part.role])
    except (DamagedError, UnsafeLayerError) as error:
        problems.append(str(error))
    return problems + list(_check_record(snapshot, image))


def _check_blob(store: LocalStore, blob: Blob) -> Iterator[str]:
    sha = hashlib.sha256()
    try:
        with store.open(blob.digest) as file:
            while piece := file.read(_PIECE):
                sha.update(piece)
    except MissingError as error:
        yield str(error)
        return
    except OSError as error:
        yield f"{store.blob_path(blob.digest)}: cannot be read: {error.strerror}"
        return
    if f"sha256:{sha.hexdigest()}" != blob.digest:
        yield f"{store.blob_path(blob.digest)}: the content was changed"


def _check_record(snapshot: Snapshot, image: Image) -> Iterator[str]:
    if snapshot != image.snapshot:
        yield f"{snapshot.id}: the image {snapshot.image} carries another snapshot"


def _check_part(store: LocalStore, part: Part, tree: Tree) -> Iterator[str]:
    held = contents(store, part)
    for entry in tree.entries:
        got = held.pop(entry.path, None)
        if got != entry:
            what = "nothing" if got is None else "something else"
            yield f"{part.role}: {show(entry.path)}: the layers hold {what}"
    for path in held:
        yield f"{part.role}: {show(path)}: in the layers, but not in the manifest"


def contents(store: LocalStore, part: Part) -> dict[bytes, Entry]:
    """Return what the layers of a part hold, one on top of the other.

    Raises:
        MissingError: a layer is not in the store.
        DamagedError: a layer cannot be read.
        UnsafeLayerError: a layer holds what none may.
    """
    held: dict[bytes, Entry] = {}
    start = part.role.encode() + b"/"
    for digest in part.layers:
        with store.open(digest) as file:
            layer = Layer(file, digest)
            for member in layer.members():
                if member.path.startswith(start):
                    _apply(held, member, member.path[len(start) :], layer)
    return held


def _apply(held: dict[bytes, Entry], member: Member, path: bytes, layer: Layer) -> None:
    folder, slash, name = path.rpartition(b"/")
    if name.startswith(WHITEOUT):
        _forget(held, folder + slash + name.removeprefix(WHITEOUT))
        return
    if member.kind is not Kind.FOLDER and path in held:
        _forget(held, path)
    sha256 = ""
    if member.kind is Kind.FILE:
        sha = hashlib.sha256()
        for piece in layer.content(member):
            sha.update(piece)
        sha256 = sha.hexdigest()
    mode = member.mode & PERMISSIONS
    held[path] = Entry(path, member.kind, mode, member.size, sha256, member.target)


def _forget(held: dict[bytes, Entry], path: bytes) -> None:
    entry = held.pop(path, None)
    if entry is not None and entry.kind is Kind.FOLDER:
        for below in _below(held, path):
            del held[below]


def _below(held: Mapping[bytes, Entry], path: bytes) -> list[bytes]:
    return [each for each in held if each.startswith(path + b"/")]
