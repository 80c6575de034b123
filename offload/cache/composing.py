"""What makes a snapshot ready: a tree of each part, and a file that lists them.

``images/HEX.json`` in the work area is there once all trees are; ``outside`` in it names
the folders that links of theirs lead into.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from offload.cache.layers import UnpackedLayers
from offload.cache.receiving import room
from offload.cache.trees import ensure_tree
from offload.cache.writing import replace_file
from offload.snapshot import LocalStore
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
    snapshot, manifests = image.snapshot, read_trees(store, image)
    document: dict[str, list[Any]] = {"parts": []}
    outside: set[str] = set()
    for part in snapshot.parts:
        if is_bytecode(part.role):
            continue
        laid = [part, *filter(None, [snapshot.part(belonging_to(part.role))])]
        places = [(digest, one.role) for one in laid for digest in one.layers]
        links = sorted({str(mounted[d]) for d, _ in places if d in mounted})
        # A tree of links is another than one that has all: it may come to lack some.
        tree = tree_name([*(one.tree for one in laid), *links])
        outside.update(links)
        entries = {
            e.path: e for one in reversed(laid) for e in manifests[one.role].entries
        }
        ensure_tree(
            work / "trees" / tree,
            sorted(entries.values()),
            [layers.path(d) / role for d, role in places if d not in mounted],
            [mounted[d] / role for d, role in places if d in mounted],
        )
        document["parts"].append(
            {
                "role": part.role,
                "mount": part.mount,
                "tree": tree,
                "layers": [digest for digest, _ in places],
            }
        )
    document["outside"] = sorted(outside)
    path = image_path(work, snapshot.image)
    with room(work):
        path.parent.mkdir(exist_ok=True)
        replace_file(path, json.dumps(document).encode())


def tree_name(digests: Iterable[str]) -> str:
    """Return the name of the folder of trees that are laid over each other."""
    first, *others = digests
    if not others:
        return first.removeprefix("sha256:")
    return hashlib.sha256("\n".join([first, *others]).encode()).hexdigest()
