"""Changes to a repository that become visible together, or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator

from offload.cache.cvmfs.catalogue import Counters
from offload.cache.cvmfs.cataloguing import write_catalogue
from offload.cache.cvmfs.drafts import Draft
from offload.cache.cvmfs.errors import RefusedItemError, RepositoryError
from offload.cache.cvmfs.items import Item, check_path
from offload.cache.cvmfs.manifest import Manifest
from offload.cache.cvmfs.merging import merge
from offload.cache.cvmfs.names import ObjectName, Suffix, is_below, name_of, parent_of
from offload.cache.cvmfs.packing import Packer, row_of
from offload.cache.cvmfs.rows import Nested, Row
from offload.cache.cvmfs.splitting import cuts
from offload.cache.cvmfs.storage import Storage
from offload.cache.cvmfs.trees import Tree, folder_row
from offload.snapshot.tree import Kind


class Transaction:
    """What a repository is to become. Made by ``Repository.transaction``.

    Paths are absolute bytes (``b"/.flat/ab/cd"``; a missing first slash is added).
    Folders on the way to a path are made as needed.

    Args:
        storage: where the objects are.
        packer: makes objects of contents.
        root: the catalogue to start from.
        rows: a catalogue with more is cut.
        level: of compression.
        publish: makes a root catalogue the next revision.
    """

    def __init__(
        self,
        storage: Storage,
        packer: Packer,
        root: ObjectName,
        rows: int,
        level: int,
        publish: Callable[[Draft, str | None], Manifest],
    ) -> None:
        self._storage = storage
        self._packer = packer
        self._most_rows = rows
        self._level = level
        self._publish = publish
        self._root = self._load(root)
        self._drafts = {b"": self._root}

    def lookup(self, path: bytes) -> Row | None:
        """Return what lies at a path by now; None if nothing does."""
        path = _absolute(path)
        return self._draft(path).get(path)

    def walk(self, path: bytes) -> Iterator[tuple[bytes, Row]]:
        """Yield path and row of all that is below a folder; folders before content."""
        path = _absolute(path)
        for child, row in self._draft(path).listing(path):
            yield child, row
            if row.kind is Kind.FOLDER:
                yield from self.walk(child)

    def put_tree(self, path: bytes, items: Iterable[Item]) -> None:
        """Make what lies at a path exactly these items, in nested catalogues of its own.

        Contents are compressed on all cores while items are read; what is known is
        not. After an error the transaction can only be abandoned.

        Args:
            path: of the tree's folder; not the root.
            items: relative to it, in any order; of the same path the last one counts.

        Raises:
            RefusedItemError: an item's path escapes or lies in something that is no
                folder, or its content is not what it says.
            NoSpaceError: the disk is full.
            OSError: a content cannot be read.
        """
        path = _absolute(path)
        tree = Tree(path)
        for item in items:
            item.check(path)
            place = tree.make_room(item)
            if item.kind is Kind.FILE:
                self._packer.add(item, tree.expect(place, item))
            else:
                tree.put(place, row_of(item))
        self._packer.finish()
        self._mount(tree.draft)

    def put(self, path: bytes, item: Item) -> None:
        """Set one file, link or folder; a folder keeps what is in it.

        Args:
            path: where; what the item says of its own path does not matter.
            item: what.

        Raises:
            RefusedItemError, NoSpaceError, OSError: see :meth:`put_tree`.
        """
        path = _absolute(path)
        item.check()
        rows: list[Row] = []
        if item.kind is Kind.FILE:
            self._packer.add(item, rows.append)
            self._packer.finish()
        else:
            rows.append(row_of(item))
        self._put(path, rows[0]._replace(name=name_of(path)))

    def symlink(self, path: bytes, target: bytes) -> None:
        """Set a symbolic link.

        Raises:
            RefusedItemError: path or target cannot stand in a repository.
        """
        self.put(path, Item(b"", Kind.LINK, 0o777, target=target))

    def merge(
        self,
        path: bytes,
        sources: Iterable[bytes],
        implied: Iterable[Collection[bytes]] = (),
    ) -> None:
        """Make a path the tree that layers give when they are laid on each other.

        No content is read: rows are taken from the layers' catalogues. Deletions take
        effect as the OCI image specification says ("Whiteouts").

        Args:
            path: of the new tree's folder.
            sources: paths of the layers' folders, the lowest first.
            implied: see :func:`offload.cache.cvmfs.merging.merge`.

        Raises:
            RefusedItemError: a layer would reach through a link of a lower one.
            RepositoryError: a layer is not in the repository.
        """
        path = _absolute(path)
        draft = Draft(path, folder_row(name_of(path))._replace(is_catalogue_root=True))
        for below, row in merge(map(self._layer, sources), implied).items():
            draft.put(path + b"/" + below, row)
        self._drop_unchanged()
        self._mount(draft)

    def remove(self, path: bytes) -> bool:
        """Remove what lies at a path, with all that is below; whether there was any."""
        path = _absolute(path)
        if not path:
            raise RepositoryError("the root of a repository cannot be removed")
        draft = self._draft(parent_of(path))
        row = draft.get(path)
        if row is None:
            return False
        self._clear(draft, path, row)
        draft.discard(path)
        return True

    def commit(self, tag: str | None = None) -> Manifest:
        """Publish the changes; return the manifest of the repository's revision.

        If nothing has changed, there is no new revision.

        Args:
            tag: a name for the revision; taken from the one that had it.

        Raises:
            NoSpaceError: the disk is full; nothing is published.
        """
        for path in sorted(self._drafts, key=len, reverse=True):
            if (draft := self._drafts[path]).is_changed:
                for written in [*self._cut(draft), draft]:
                    if written.root:
                        self._write(written)
        return self._publish(self._root, tag)

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

    def _drop_unchanged(self) -> None:
        """Free the memory of what was only read."""
        for path in [p for p, draft in self._drafts.items() if not draft.is_changed]:
            if path and not any(
                other.is_changed and is_below(other.root, path)
                for other in self._drafts.values()
            ):
                del self._drafts[path]

    def _mount(self, draft: Draft) -> None:
        """Put a tree in place of what was at its path."""
        path = draft.root
        row = draft.get(path)
        assert row is not None, path
        self._put(path, row._replace(is_catalogue_root=False, is_mount_point=True))
        self._draft(parent_of(path)).nested[path] = None
        self._drafts[path] = draft

    def _put(self, path: bytes, row: Row) -> None:
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

    def _layer(self, source: bytes) -> list[tuple[bytes, Row]]:
        path = _absolute(source)
        found = self.lookup(path)
        if found is None or found.kind is not Kind.FOLDER:
            raise RepositoryError(f"{os.fsdecode(path)!r}: there is no such layer")
        skipped = len(path) + 1
        return [(child[skipped:], row) for child, row in self.walk(path)]


def _absolute(path: bytes) -> bytes:
    below = path.strip(b"/")
    check_path(below)
    return b"/" + below if below else b""
