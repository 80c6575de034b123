"""The namespace of a repository while it is being changed: catalogues in memory.

Of all catalogues only those are loaded that a change needs; those that were changed are
written anew, and so are those that enclose them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from offload.cache.cvmfs.catalogue import Counters
from offload.cache.cvmfs.cataloguing import write_catalogue
from offload.cache.cvmfs.drafts import Draft
from offload.cache.cvmfs.errors import RefusedItemError, RepositoryError
from offload.cache.cvmfs.names import ObjectName, Suffix, is_below, name_of, parent_of
from offload.cache.cvmfs.rows import Nested, Row
from offload.cache.cvmfs.splitting import cuts
from offload.cache.cvmfs.storage import Storage
from offload.cache.cvmfs.trees import folder_row
from offload.snapshot.tree import Kind


class WrittenTree(NamedTuple):
    """A tree whose catalogues are objects, and that nothing leads to yet."""

    row: Row
    """Of its folder, where it is mounted."""
    nested: Nested
    counters: Counters
    """How much there is in it."""


class WorkingCopy:
    """What a repository's namespace is to become. Paths are absolute, the root empty.

    Args:
        storage: where the catalogues are.
        root: the catalogue to start from.
        rows: a catalogue with more is cut.
        level: of compression.
    """

    def __init__(
        self, storage: Storage, root: ObjectName, rows: int, level: int
    ) -> None:
        self._storage = storage
        self._most_rows = rows
        self._level = level
        self._root = self._load(root)
        self._drafts = {b"": self._root}

    def lookup(self, path: bytes) -> Row | None:
        """Return what lies at a path; None if nothing does."""
        return self._draft(path).get(path)

    def walk(self, path: bytes) -> Iterator[tuple[bytes, Row]]:
        """Yield path and row of all that is below a folder; folders before content."""
        for child, row in self._draft(path).listing(path):
            yield child, row
            if row.kind is Kind.FOLDER:
                yield from self.walk(child)

    def put(self, path: bytes, row: Row) -> None:
        """Set what lies at a path; a folder keeps what is in it.

        Raises:
            RefusedItemError: the path is the root, or lies in something that is no
                folder.
        """
        if not path:
            raise RefusedItemError("the root of a repository is always a folder")
        self._make_folder(parent_of(path))
        draft = self._draft(parent_of(path))
        before = draft.get(path)
        keeps = row.kind is Kind.FOLDER and not row.is_mount_point
        if before is not None and keeps and before.kind is Kind.FOLDER:
            inner = self._draft(path)
            if inner is not draft:
                inner.put(path, row._replace(is_catalogue_root=True))
            row = row._replace(is_mount_point=before.is_mount_point)
        elif before is not None:
            self._clear(draft, path, before)
        draft.put(path, row)

    def mount(self, draft: Draft) -> None:
        """Put a tree in place of what was at its path; raises as :meth:`put` does."""
        path = draft.root
        row = draft.get(path)
        assert row is not None, path
        self.put(path, row._replace(is_catalogue_root=False, is_mount_point=True))
        self._draft(parent_of(path)).nested[path] = None
        self._drafts[path] = draft

    def remove(self, path: bytes) -> bool:
        """Remove what lies at a path, with all that is below; whether there was any."""
        if not path:
            raise RepositoryError("the root of a repository cannot be removed")
        draft = self._draft(parent_of(path))
        row = draft.get(path)
        if row is None:
            return False
        self._clear(draft, path, row)
        draft.discard(path)
        return True

    def drop_unchanged(self) -> None:
        """Free the memory of what was only read."""
        for path in [p for p, draft in self._drafts.items() if not draft.is_changed]:
            if path and not any(
                other.is_changed and is_below(other.root, path)
                for other in self._drafts.values()
            ):
                del self._drafts[path]

    def graft(self, tree: WrittenTree) -> None:
        """Put a tree that is written in place of what was at its path."""
        path = tree.nested.path
        self.put(path, tree.row)
        enclosing = self._draft(parent_of(path))
        enclosing.nested[path] = tree.nested
        enclosing.below = enclosing.below.plus(tree.counters)

    def write(self) -> Draft:
        """Write all catalogues that have changed but the root, which is returned.

        Raises:
            NoSpaceError: the disk is full.
        """
        self._write_below(b"")
        return self._root

    def write_tree(self, path: bytes) -> WrittenTree:
        """Write the catalogues of a tree that was mounted, and none that enclose it.

        Raises:
            NoSpaceError: the disk is full.
        """
        self._write_below(path)
        enclosing = self._draft(parent_of(path))
        row, nested = enclosing.get(path), enclosing.nested[path]
        assert row is not None, path
        assert nested is not None, path
        return WrittenTree(row, nested, self._drafts[path].before)

    def _write_below(self, path: bytes) -> None:
        below = [place for place in self._drafts if is_below(place, path)]
        for place in sorted(below, key=len, reverse=True):
            if (draft := self._drafts[place]).is_changed:
                for written in [*self._cut(draft), draft]:
                    if written.root:
                        self._write(written)

    def _cut(self, draft: Draft) -> list[Draft]:
        parts = []
        for path in cuts(draft, self._most_rows):
            part = draft.cut(path)
            for nested in part.nested:
                # What counted for the one counts for the other, as far as it does yet.
                total = self._counted(nested, part.nested[nested])
                draft.below = draft.below.minus(total)
                part.below = part.below.plus(total)
            self._drafts[path] = part
            parts.append(part)
        return parts

    def _write(self, draft: Draft) -> None:
        data, own = write_catalogue(
            draft.root, draft.entries(), draft.written(), draft.below
        )
        name = self._storage.put_content(data, Suffix.CATALOGUE, self._level)
        nested = Nested(draft.root, name, len(data))
        enclosing = self._draft(parent_of(draft.root))
        total = own.plus(draft.below)
        enclosing.below = enclosing.below.minus(draft.before).plus(total)
        draft.before = total
        draft.is_changed = False
        if enclosing.nested[draft.root] != nested:
            enclosing.nested[draft.root] = nested
            enclosing.is_changed = True

    def _draft(self, path: bytes) -> Draft:
        """Return what describes a path and, of a folder, its content."""
        draft = self._root
        while (nested := draft.nested_at(path)) is not None:
            if nested not in self._drafts:
                found = draft.nested[nested]
                assert found is not None, nested
                self._drafts[nested] = self._load(found.object)
            draft = self._drafts[nested]
        return draft

    def _load(self, name: ObjectName) -> Draft:
        catalogue = self._storage.catalogue(name)
        try:
            return Draft.of(catalogue)
        finally:
            catalogue.close()

    def _make_folder(self, path: bytes) -> None:
        if not path:
            return
        found = self._draft(path).get(path)
        if found is None:
            self._make_folder(parent_of(path))
            self._draft(parent_of(path)).put(path, folder_row(name_of(path)))
        elif found.kind is not Kind.FOLDER:
            raise RefusedItemError(
                f"{os.fsdecode(path)!r}: expected a folder, found a {found.kind}"
            )

    def _clear(self, draft: Draft, path: bytes, row: Row) -> None:
        """Remove what is below a path."""
        if row.is_mount_point:
            draft.below = draft.below.minus(self._counted(path, draft.nested[path]))
            del draft.nested[path]
            for other in [p for p in self._drafts if is_below(p, path)]:
                del self._drafts[other]
            draft.is_changed = True
        elif row.kind is Kind.FOLDER:
            for child, found in draft.listing(path):
                self._clear(draft, child, found)
                draft.discard(child)

    def _counted(self, path: bytes, nested: Nested | None) -> Counters:
        """Return how much a nested catalogue has added to what encloses it."""
        if path in self._drafts:
            return self._drafts[path].before
        assert nested is not None, path
        catalogue = self._storage.catalogue(nested.object)
        own, below = catalogue.counters()
        catalogue.close()
        return own.plus(below)
