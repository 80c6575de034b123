"""What is put into a repository: trees, single entries, trees laid on each other."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from pathlib import Path

from offload.cache.cvmfs.contents import Contents
from offload.cache.cvmfs.drafts import Draft
from offload.cache.cvmfs.errors import RepositoryError
from offload.cache.cvmfs.items import Item, check_path
from offload.cache.cvmfs.merging import merge
from offload.cache.cvmfs.names import ObjectName, name_of
from offload.cache.cvmfs.packing import Packer, row_of
from offload.cache.cvmfs.rows import Row
from offload.cache.cvmfs.settings import Settings
from offload.cache.cvmfs.storage import Storage
from offload.cache.cvmfs.trees import Tree, folder_row
from offload.cache.cvmfs.working import WorkingCopy
from offload.snapshot.tree import Kind


class Changes:
    """Changes to a repository that nobody sees yet.

    Paths are absolute bytes (``b"/.flat/ab/cd"``; a missing first slash is added).
    Folders on the way to a path are made as needed.

    Args:
        copy: of the namespace to start from.
        packer: makes objects of contents.
    """

    def __init__(self, copy: WorkingCopy, packer: Packer) -> None:
        self._copy = copy
        self._packer = packer

    def lookup(self, path: bytes) -> Row | None:
        """Return what lies at a path by now; None if nothing does."""
        return self._copy.lookup(absolute(path))

    def walk(self, path: bytes) -> Iterator[tuple[bytes, Row]]:
        """Yield path and row of all that is below a folder; folders before content."""
        return self._copy.walk(absolute(path))

    def put_tree(self, path: bytes, items: Iterable[Item]) -> None:
        """Make what lies at a path exactly these items, in nested catalogues of its own.

        Contents are compressed on all cores while items are read; what is known is
        not. After an error the changes can only be abandoned.

        Args:
            path: of the tree's folder; not the root.
            items: relative to it, in any order; of the same path the last one counts.

        Raises:
            RefusedItemError: an item's path escapes or lies in something that is no
                folder, or its content is not what it says.
            NoSpaceError: the disk is full.
            OSError: a content cannot be read.
        """
        path = absolute(path)
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
        path = absolute(path)
        item.check()
        rows: list[Row] = []
        if item.kind is Kind.FILE:
            self._packer.add(item, rows.append)
            self._packer.finish()
        else:
            rows.append(row_of(item))
        self._set(path, rows[0]._replace(name=name_of(path)))

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
        path = absolute(path)
        draft = Draft(path, folder_row(name_of(path))._replace(is_catalogue_root=True))
        for below, row in merge(map(self._layer, sources), implied).items():
            draft.put(path + b"/" + below, row)
        self._copy.drop_unchanged()
        self._mount(draft)

    def _mount(self, draft: Draft) -> None:
        self._copy.mount(draft)

    def _set(self, path: bytes, row: Row) -> None:
        self._copy.put(path, row)

    def _layer(self, source: bytes) -> list[tuple[bytes, Row]]:
        path = absolute(source)
        found = self.lookup(path)
        if found is None or found.kind is not Kind.FOLDER:
            raise RepositoryError(f"{os.fsdecode(path)!r}: there is no such layer")
        skipped = len(path) + 1
        return [(child[skipped:], row) for child, row in self.walk(path)]


@contextmanager
def tools(
    storage: Storage,
    index: Path,
    settings: Settings,
    root: ObjectName,
    alone: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Iterator[tuple[WorkingCopy, Packer]]:
    """Open what changes are made with; the caller is alone, until this yields.

    Args:
        storage: of the objects.
        index: see :class:`Contents`.
        settings: how it is written.
        root: the catalogue to start from.
        alone: see :class:`Packer`.
    """
    level = settings.level
    with (
        closing(Contents(index)) as contents,
        closing(Packer(storage, contents, level, settings.workers, alone)) as packer,
    ):
        yield WorkingCopy(storage, root, settings.most_rows, level), packer


def absolute(path: bytes) -> bytes:
    """Return a path as catalogues have it: with its first slash, the root empty."""
    below = path.strip(b"/")
    check_path(below)
    return b"/" + below if below else b""
