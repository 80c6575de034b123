"""The tree manifests of a snapshot, in the last layer of its image."""

from __future__ import annotations

from collections.abc import Mapping

from offload.snapshot.errors import DamagedError, MissingError
from offload.snapshot.images.image import MANIFESTS, Image, read_image
from offload.snapshot.layers import reading as layers
from offload.snapshot.layers.writing import LayerWriter
from offload.snapshot.model import Layer, Snapshot
from offload.snapshot.store.local import LocalStore
from offload.snapshot.tree import Entry, Kind, Tree


def write_trees(store: LocalStore, trees: Mapping[str, Tree]) -> Layer:
    """Make the layer that holds the manifests, by role."""
    with LayerWriter(store, MANIFESTS) as layer:
        for role in sorted(trees):
            data = trees[role].canonical
            layer.add(Entry(_name(role), Kind.FILE, 0o644, len(data)), data)
        return layer.commit()


def read_trees(store: LocalStore, image: Image) -> dict[str, Tree]:
    """Read the manifests of all parts, verified.

    Raises:
        MissingError: the layer is not there.
        DamagedError: it is not what it should be.
    """
    with store.open(image.manifests.digest) as file:
        layer = layers.Layer(file, image.manifests.digest)
        found = {
            member.path: b"".join(layer.content(member)) for member in layer.members()
        }
    trees = {}
    for part in image.snapshot.parts:
        path = MANIFESTS.encode() + b"/" + _name(part.role)
        if path not in found:
            raise DamagedError(
                f"{image.snapshot.id}: the manifest of {part.role} lacks"
            )
        tree = Tree.parse(found[path])
        if tree.digest != part.tree:
            raise DamagedError(
                f"{image.snapshot.id}: the manifest of {part.role} is another: expected "
                f"{part.tree}, got {tree.digest}"
            )
        trees[part.role] = tree
    return trees


def manifest(snapshot: Snapshot, store: LocalStore, role: str) -> Tree:
    """Return what a part of a snapshot holds, verified.

    Raises:
        MissingError: the snapshot has no such part, or the store lacks it.
        DamagedError: the store was damaged.
    """
    if snapshot.part(role) is None:
        raise MissingError(
            f"{snapshot.id}: expected one of the parts "
            f"{', '.join(part.role for part in snapshot.parts)}, got {role}"
        )
    return read_trees(store, read_image(store, snapshot.image))[role]


def _name(role: str) -> bytes:
    return role.replace("/", ".").encode()
