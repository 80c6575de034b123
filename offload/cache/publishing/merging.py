"""Decides what a tree of several layers holds. No I/O.

Image Specification 1.1, layer.md, "Applying Changesets". A layer is a set of paths here:
what it deletes are paths of the layers below, wherever in its archive it says so.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from offload.cache.publishing.errors import UnsafeImageError
from offload.cache.publishing.tar import shown

WHITEOUT = b".wh."
"""In front of the name of what is deleted."""
OPAQUE = b".wh..wh..opq"
"""In a folder whose lower content is deleted."""
_AUFS = b".wh..wh."
"""What else begins so is for the file system that whiteouts come from."""


class Row(Protocol):
    """What a path is."""

    @property
    def path(self) -> bytes:
        """Relative to the root; empty is the root itself."""

    @property
    def is_folder(self) -> bool:
        """Whether others may lie below it."""


R = TypeVar("R", bound=Row)


@dataclass(frozen=True, slots=True)
class Layer(Generic[R]):
    """What one layer holds; every folder on the way to a path is among it."""

    rows: Iterable[R]
    """Whiteouts are files whose name says so."""
    implied: Collection[bytes] = ()
    """Folders that the archive uses and does not have: where a lower layer has them,
    they are as they are there."""


def is_whiteout(path: bytes) -> bool:
    """Whether a path of a layer says something of other paths, and is none itself."""
    return path.rpartition(b"/")[2].startswith(WHITEOUT)


def merge(layers: Iterable[Layer[R]]) -> list[R]:
    """Return the rows of the tree, sorted by path: a folder before what is in it.

    Raises:
        UnsafeImageError: something lies in a folder that is a link, or anything else,
            in a lower layer.
    """
    tree = _Tree[R]()
    for layer in layers:
        added, gone, opaque = _sorted_out(layer.rows)
        for folder in opaque:
            tree.empty(folder)
        for path in gone:
            tree.remove(path)
        for path in sorted(added):
            tree.put(added[path], is_implied=path in layer.implied)
    return tree.rows()


def _sorted_out(
    rows: Iterable[R],
) -> tuple[dict[bytes, R], list[bytes], list[bytes]]:
    added: dict[bytes, R] = {}
    gone: list[bytes] = []
    opaque: list[bytes] = []
    for row in rows:
        folder, slash, name = row.path.rpartition(b"/")
        if not name.startswith(WHITEOUT):
            added[row.path] = row
        elif name == OPAQUE:
            opaque.append(folder)
        elif not name.startswith(_AUFS):
            hidden = name.removeprefix(WHITEOUT)
            if hidden in {b"", b".", b".."}:
                raise UnsafeImageError(
                    f"{shown(row.path)}: expected the deletion of a name"
                )
            gone.append(folder + slash + hidden)
    return added, gone, opaque


@dataclass(slots=True)
class _Tree(Generic[R]):
    _rows: dict[bytes, R] = field(default_factory=dict)
    _inside: dict[bytes, dict[bytes, None]] = field(default_factory=dict)
    """Paths in each folder that is not empty."""

    def put(self, row: R, *, is_implied: bool) -> None:
        path = row.path
        before = self._rows.get(path)
        if before is None:
            if path:
                self._inside.setdefault(_parent(path), {})[path] = None
        elif is_implied:
            if not before.is_folder:
                raise UnsafeImageError(
                    f"{shown(path)}: a layer has something in it, and a lower one says "
                    "that it is no folder"
                )
            return
        elif before.is_folder and not row.is_folder:
            self.empty(path)
        self._rows[path] = row

    def empty(self, folder: bytes) -> None:
        """Take away all that is below a folder."""
        left = [folder]
        while left:
            for path in self._inside.pop(left.pop(), ()):
                del self._rows[path]
                left.append(path)

    def remove(self, path: bytes) -> None:
        """Take away a path with all that is below it."""
        if self._rows.pop(path, None) is not None:
            siblings = self._inside[_parent(path)]
            del siblings[path]
            if not siblings:
                del self._inside[_parent(path)]
            self.empty(path)

    def rows(self) -> list[R]:
        return [self._rows[path] for path in sorted(self._rows)]


def _parent(path: bytes) -> bytes:
    return path.rpartition(b"/")[0]
