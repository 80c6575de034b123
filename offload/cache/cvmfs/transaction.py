"""Changes to a repository that become visible together, or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator

from offload.cache.cvmfs.drafts import Draft
from offload.cache.cvmfs.errors import RepositoryError
from offload.cache.cvmfs.items import Item, check_path
from offload.cache.cvmfs.manifest import Manifest
from offload.cache.cvmfs.merging import merge
from offload.cache.cvmfs.names import name_of
from offload.cache.cvmfs.namespace import Namespace
from offload.cache.cvmfs.packing import Packer, row_of
from offload.cache.cvmfs.rows import Row
from offload.cache.cvmfs.trees import Tree, folder_row
from offload.cache.cvmfs.working import WorkingCopy
from offload.snapshot.tree import Kind


class Transaction:
    """What a repository is to become. Made by ``Repository.transaction``.

    Paths are absolute bytes (``b"/.flat/ab/cd"``; a missing first slash is added).
    Folders on the way to a path are made as needed.

    Args:
        copy: of the namespace to start from.
        packer: makes objects of contents.
        publish: makes a root catalogue the next revision.
    """

    def __init__(
        self,
        copy: WorkingCopy,
        packer: Packer,
        publish: Callable[[Draft, str | None], Manifest],
    ) -> None:
        self._copy = copy
        self._packer = packer
        self._publish = publish

    def lookup(self, path: bytes) -> Row | None:
        """Return what lies at a path by now; None if nothing does."""
        return self._copy.lookup(_absolute(path))

    def walk(self, path: bytes) -> Iterator[tuple[bytes, Row]]:
        """Yield path and row of all that is below a folder; folders before content."""
        return self._copy.walk(_absolute(path))

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
        self._copy.mount(tree.draft)

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
        self._copy.put(path, rows[0]._replace(name=name_of(path)))

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
        self._copy.drop_unchanged()
        self._copy.mount(draft)

    def take_over(self, source: Namespace, paths: Iterable[bytes]) -> None:
        """Put trees of another revision where nothing lies; no content is read.

        What is not there, or cannot be read, is left out.
        """
        for path in map(_absolute, paths):
            if self.lookup(path) is not None:
                continue
            try:
                top = source.lookup(path)
                rows = [] if top is None else list(source.walk(path))
            except RepositoryError:  # damaged: perhaps why one goes back
                continue
            if top is not None:
                draft = Draft(path, _plain(top)._replace(is_catalogue_root=True))
                for below, row in rows:
                    draft.put(below, _plain(row))
                self._copy.drop_unchanged()
                self._copy.mount(draft)

    def remove(self, path: bytes) -> bool:
        """Remove what lies at a path, with all that is below; whether there was any."""
        return self._copy.remove(_absolute(path))

    def commit(self, tag: str | None = None) -> Manifest:
        """Publish the changes; return the manifest of the repository's revision.

        If nothing has changed, there is no new revision.

        Args:
            tag: a name for the revision; taken from the one that had it.

        Raises:
            NoSpaceError: the disk is full; nothing is published.
        """
        root = self._copy.write()
        self._packer.save()
        return self._publish(root, tag)

    def _layer(self, source: bytes) -> list[tuple[bytes, Row]]:
        path = _absolute(source)
        found = self.lookup(path)
        if found is None or found.kind is not Kind.FOLDER:
            raise RepositoryError(f"{os.fsdecode(path)!r}: there is no such layer")
        skipped = len(path) + 1
        return [(child[skipped:], row) for child, row in self.walk(path)]


def _plain(row: Row) -> Row:
    return row._replace(is_mount_point=False, is_catalogue_root=False)


def _absolute(path: bytes) -> bytes:
    below = path.strip(b"/")
    check_path(below)
    return b"/" + below if below else b""
