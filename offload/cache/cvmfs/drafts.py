"""Catalogues that are being changed, in memory, until they are written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Self

from offload.cache.cvmfs.catalogue import Catalogue, Counters
from offload.cache.cvmfs.names import NO_PARENT, key_of, parent_of
from offload.cache.cvmfs.rows import Nested, Row


class Draft:
    """What a catalogue is to hold."""

    def __init__(self, root: bytes, row: Row) -> None:
        self.root = root
        """The path of its folder."""
        self.rows: dict[bytes, tuple[bytes, Row]] = {}
        """By key: the key of the parent, and the row."""
        self.nested: dict[bytes, Nested | None] = {}
        """By path; None until the nested catalogue is written."""
        self.below = Counters()
        """What there is in all nested catalogues that are written."""
        self.before = Counters()
        """How much of what encloses it counts for it, as long as it is not written."""
        self.is_changed = True
        self._children: defaultdict[bytes, set[bytes]] | None = None
        self._set(root, row)

    @classmethod
    def of(cls, catalogue: Catalogue) -> Self:
        """Take over what a catalogue holds."""
        draft = cls.__new__(cls)
        draft.root = catalogue.root
        draft.rows = {key: (parent, row) for key, parent, row in catalogue.rows()}
        draft.nested = {nested.path: nested for nested in catalogue.nested()}
        own, draft.below = catalogue.counters()
        draft.before = own.plus(draft.below)
        draft.is_changed = False
        draft._children = None
        return draft

    def get(self, path: bytes) -> Row | None:
        """Return what is at a path; None if nothing is, here."""
        found = self.rows.get(key_of(path))
        return found and found[1]

    def put(self, path: bytes, row: Row) -> None:
        """Set what is at a path, in place of what was."""
        self.is_changed = True
        self._set(path, row)

    def _set(self, path: bytes, row: Row) -> None:
        key = key_of(path)
        parent = key_of(parent_of(path)) if path else NO_PARENT
        self.rows[key] = parent, row
        if self._children is not None:
            self._children[parent].add(key)

    def discard(self, path: bytes) -> None:
        """Remove one entry, which nothing is below of any more."""
        self.is_changed = True
        key = key_of(path)
        parent, _ = self.rows.pop(key)
        if self._children is not None:
            self._children[parent].discard(key)

    def listing(self, path: bytes) -> list[tuple[bytes, Row]]:
        """Return the paths and rows directly in a folder, sorted by name."""
        if self._children is None:
            self._children = defaultdict(set)
            for key, (parent, _) in self.rows.items():
                self._children[parent].add(key)
        rows = [self.rows[key][1] for key in self._children.get(key_of(path), ())]
        rows.sort(key=lambda row: row.name)
        return [(path + b"/" + row.name, row) for row in rows]

    def nested_at(self, path: bytes) -> bytes | None:
        """Return the path of the nested catalogue that describes a path, if one does."""
        while len(path) > len(self.root):
            if path in self.nested:
                return path
            path = parent_of(path)
        return None

    def entries(self) -> Iterator[tuple[bytes, bytes, Row]]:
        """Yield the key, the key of the parent, and the row of every entry."""
        for key, (parent, row) in self.rows.items():
            yield key, parent, row

    def written(self) -> list[Nested]:
        """Return the nested catalogues, all of which must be written by now."""
        found = [nested for nested in self.nested.values() if nested is not None]
        assert len(found) == len(self.nested), self.root
        return found

    def cut(self, path: bytes) -> Draft:
        """Move a folder with what is in it to a nested catalogue of its own."""
        row = self.get(path)
        assert row is not None, path
        part = Draft(path, row._replace(is_catalogue_root=True))
        folders = [path]
        while folders:
            for child, found in self.listing(folders.pop()):
                part.put(child, found)
                if found.is_mount_point:
                    part.nested[child] = self.nested.pop(child)
                else:
                    folders.append(child)
                self.discard(child)
        self.put(path, row._replace(is_mount_point=True))
        self.nested[path] = None
        return part
