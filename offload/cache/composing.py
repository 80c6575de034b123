"""What makes a snapshot ready: a tree of each part, and a file that lists them.

``images/HEX.json`` in the work area is there once all trees are; ``outside`` in it names
the folders that links of theirs lead into.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from offload.cache.layers import UnpackedLayers
from offload.cache.receiving import room
from offload.cache.trees import ensure_tree, files_in
from offload.cache.writing import replace_file
from offload.snapshot import Entry, LocalStore
from offload.snapshot.bytecode import belonging_to, is_bytecode
from offload.snapshot.images.image import Image
from offload.snapshot.images.manifests import read_trees


def image_path(work: Path, image: str) -> Path:
    """Return the file that lists the trees of a snapshot."""
    return work / "images" / f"{image.removeprefix('sha256:')}.json"


def is_ready(path: Path) -> bool:
    """Whether a snapshot has its trees, and their links lead somewhere."""
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        return False
    return all(map(os.path.isdir, document.get("outside", ())))


def compose(
    work: Path,
    layers: UnpackedLayers,
    image: Image,
    store: LocalStore,
    mounted: Mapping[str, Path],
) -> None:
    """Make the trees of a snapshot, then the file that lists them.

    Args:
        work: the site's work area.
        layers: unpacked, all that are not mounted.
        image: of the snapshot.
        store: with the manifests of its trees.
        mounted: where layers lie that others keep, by digest; trees link to them.

    Raises:
        CacheError: it is damaged, or the disk is full.
    """
    outside: set[str] = set()

    def lay(part: LaidPart) -> str:
        links = sorted({str(mounted[d]) for d, _ in part.places if d in mounted})
        # A tree of links is another than one that has all: it may come to lack some.
        tree = tree_name([*part.trees, *links])
        outside.update(links)
        ensure_tree(
            work / "trees" / tree,
            part.entries,
            [layers.path(d) / role for d, role in part.places if d not in mounted],
            files_in([mounted[d] / role for d, role in part.places if d in mounted]),
        )
        return tree

    _compose(work, image, store, lay, outside)


def compose_lazily(
    work: Path,
    layers: UnpackedLayers,
    image: Image,
    store: LocalStore,
    published: Collection[str],
    links: Mapping[bytes, bytes],
    top: Path,
    folder: Path,
) -> dict[str, Path]:
    """Make the trees of a snapshot for one pod, of which some is elsewhere.

    Trees that need nothing from there are everybody's; the pod keeps them by its pin.
    To others the snapshot is not ready until it is composed whole.

    Args:
        work: the site's work area.
        layers: unpacked, all that are not published.
        image: of the snapshot.
        store: with the manifests of its trees.
        published: digests of the layers that are elsewhere.
        links: their files, by path in the layers, with what leads there.
        top: where all of these lead to, for this pod alone.
        folder: of the pod, for the trees with links.

    Returns:
        the trees, by role.

    Raises:
        CacheError: it is damaged, or the disk is full.
    """
    trees: dict[str, Path] = {}

    def lay(part: LaidPart) -> str:
        tree = tree_name(part.trees)
        above = os.fsencode(part.role) + b"/"
        inner = {
            path[len(above) :]: link
            for path, link in links.items()
            if path.startswith(above)
        }
        trees[part.role] = (folder if inner else work / "trees") / tree
        trees[part.role].parent.mkdir(exist_ok=True)
        ensure_tree(
            trees[part.role],
            part.entries,
            [layers.path(d) / role for d, role in part.places if d not in published],
            inner,
        )
        return tree

    _compose(work, image, store, lay, {str(top)})
    return trees


def _compose(
    work: Path,
    image: Image,
    store: LocalStore,
    lay: Callable[[LaidPart], str],
    outside: Collection[str],
) -> None:
    parts = [
        {
            "role": part.role,
            "mount": part.mount,
            "tree": lay(part),
            "layers": [digest for digest, _ in part.places],
        }
        for part in laid_parts(image, store)
    ]
    document = {"parts": parts, "outside": sorted(outside)}
    path = image_path(work, image.snapshot.image)
    with room(work):
        path.parent.mkdir(exist_ok=True)
        replace_file(path, json.dumps(document).encode())


@dataclass(frozen=True, slots=True)
class LaidPart:
    """A part of a snapshot, with what is laid over it."""

    role: str
    mount: str
    """Where jobs see it."""
    trees: tuple[str, ...]
    """Digests of what makes it up."""
    places: tuple[tuple[str, str], ...]
    """Digests of layers, each with the folder in it, the lowest first."""
    entries: list[Entry]
    """All that is in it, sorted by path."""


def laid_parts(image: Image, store: LocalStore) -> Iterator[LaidPart]:
    """Yield what the trees of a snapshot are made of.

    Raises:
        SnapshotError: its manifests are not here, or damaged.
    """
    manifests = read_trees(store, image)
    for part in image.snapshot.parts:
        if is_bytecode(part.role):
            continue
        over = image.snapshot.part(belonging_to(part.role))
        laid = [part, *filter(None, [over])]
        entries = {
            e.path: e for one in reversed(laid) for e in manifests[one.role].entries
        }
        yield LaidPart(
            part.role,
            part.mount,
            tuple(one.tree for one in laid),
            tuple((digest, one.role) for one in laid for digest in one.layers),
            sorted(entries.values()),
        )


def tree_name(digests: Iterable[str]) -> str:
    """Return the name of the folder of trees that are laid over each other."""
    first, *others = digests
    if not others:
        return first.removeprefix("sha256:")
    return hashlib.sha256("\n".join([first, *others]).encode()).hexdigest()
