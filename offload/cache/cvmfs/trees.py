"""Puts a tree together from items in any order."""

from __future__ import annotations

import os
from collections.abc import Callable

from offload.cache.cvmfs.drafts import Draft
from offload.cache.cvmfs.errors import RefusedItemError
from offload.cache.cvmfs.items import Item
from offload.cache.cvmfs.names import name_of, parent_of
from offload.cache.cvmfs.rows import FOLDER_BYTES, Row
from offload.snapshot.tree import Kind

_FOLDER_MODE = 0o755
"""Of folders that nobody has described. Their time is the epoch: what is published
twice is the same twice."""


class Tree:
    """A tree that is being put together, in a catalogue of its own.

    Args:
        path: of its folder, absolute.
    """

    def __init__(self, path: bytes) -> None:
        self._path = path
        self._folders = {path}
        self.draft = Draft(
            path, folder_row(name_of(path))._replace(is_catalogue_root=True)
        )

    def make_room(self, item: Item) -> bytes:
        """Return an item's place; what was there is gone, what it lies in is there.

        Raises:
            RefusedItemError: it lies in something that is no folder.
        """
        if not item.path:
            if item.kind is not Kind.FOLDER:
                raise RefusedItemError("a tree's own entry is no folder")
            return self._path
        place = self._path + b"/" + item.path
        self._make_folder(parent_of(place))
        if place in self._folders and item.kind is not Kind.FOLDER:
            self._remove(place)
        return place

    def put(self, place: bytes, row: Row) -> None:
        if row.kind is Kind.FOLDER:
            self._folders.add(place)
        is_root = place == self._path
        self.draft.put(
            place, row._replace(name=name_of(place), is_catalogue_root=is_root)
        )

    def expect(self, place: bytes, item: Item) -> Callable[[Row], None]:
        """Note a file; return what sets its row once its objects are there."""
        name = name_of(place)
        waiting = Row(name, item.kind, item.permissions, item.size, item.mtime)
        self.draft.put(place, waiting)

        def settle(row: Row) -> None:
            # Of the same path the last one counts: it may be another's by now.
            if self.draft.get(place) is waiting:
                self.draft.put(place, row)

        return settle

    def _make_folder(self, path: bytes) -> None:
        if path in self._folders:
            return
        if (found := self.draft.get(path)) is not None:
            raise RefusedItemError(
                f"{os.fsdecode(path)!r}: expected a folder, as something lies in it; "
                f"found a {found.kind}"
            )
        self._make_folder(parent_of(path))
        self.put(path, folder_row(name_of(path)))

    def _remove(self, path: bytes) -> None:
        for child, row in self.draft.listing(path):
            if row.kind is Kind.FOLDER:
                self._remove(child)
            else:
                self.draft.discard(child)
        self.draft.discard(path)
        self._folders.discard(path)


def folder_row(name: bytes) -> Row:
    """Return the row of a folder that nobody has described."""
    return Row(name, Kind.FOLDER, _FOLDER_MODE, FOLDER_BYTES, 0)
