"""Lays the layers of an image on each other. Pure.

OCI image specification, "Image Layer Filesystem Changeset": an entry replaces what lies
below it, folders keep what is in them, and files by special names delete.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from itertools import zip_longest

from offload.cache.cvmfs.errors import RefusedItemError
from offload.cache.cvmfs.names import name_of, parent_of
from offload.cache.cvmfs.rows import Row
from offload.snapshot.tree import Kind

WHITEOUT = b".wh."
OPAQUE = b".wh..wh..opq"


def merge(
    layers: Iterable[Sequence[tuple[bytes, Row]]],
    implied: Iterable[Collection[bytes]] = (),
) -> dict[bytes, Row]:
    """Return what is there in the end, by path.

    Args:
        layers: the lowest first; paths, relative, with their rows, folders before what
            is in them.
        implied: of each layer, the folders that are there only because something lies
            in them: they are as lower layers have them.

    Raises:
        RefusedItemError: such a folder is a link, or a file, in a lower layer; or
            something lies in what deletes.
    """
    merged = _Merged()
    for layer, only_used in zip_longest(layers, implied, fillvalue=()):
        # A layer deletes what lies below it, never what it brings itself.
        for path, _ in layer:
            name, folder = name_of(path), parent_of(path)
            if name == OPAQUE:
                merged.empty(folder)
            elif name.startswith(WHITEOUT):
                merged.remove(_in(folder, name.removeprefix(WHITEOUT)))
        for path, row in layer:
            if not name_of(path).startswith(WHITEOUT):
                merged.put(path, row, is_implied=path in only_used)
    return merged.rows


class _Merged:
    def __init__(self) -> None:
        self.rows: dict[bytes, Row] = {}
        self._names: defaultdict[bytes, set[bytes]] = defaultdict(set)
        """Of what is in a folder."""

    def put(self, path: bytes, row: Row, *, is_implied: bool) -> None:
        before = self.rows.get(path)
        folder = parent_of(path)
        if folder and folder not in self.rows:
            raise RefusedItemError(
                f"{os.fsdecode(path)!r}: lies in a folder whose name says to delete"
            )
        if before is not None and is_implied:
            if before.kind is not Kind.FOLDER:
                raise RefusedItemError(
                    f"{os.fsdecode(path)!r}: a layer has something in it, and is a "
                    f"{before.kind} in a lower one"
                )
            return
        if before is not None and row.kind is not Kind.FOLDER:
            self.empty(path)
        # It is part of another catalogue from now on.
        self.rows[path] = row._replace(is_mount_point=False, is_catalogue_root=False)
        self._names[folder].add(name_of(path))

    def remove(self, path: bytes) -> None:
        if self.rows.pop(path, None) is not None:
            self.empty(path)
            self._names[parent_of(path)].discard(name_of(path))

    def empty(self, path: bytes) -> None:
        folders = [path]
        while folders:
            folder = folders.pop()
            for name in self._names.pop(folder, ()):
                child = _in(folder, name)
                del self.rows[child]
                folders.append(child)


def _in(folder: bytes, name: bytes) -> bytes:
    return folder + b"/" + name if folder else name
