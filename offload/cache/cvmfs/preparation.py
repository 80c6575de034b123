"""Changes that are made ready while others publish, to be put in place in a moment.

All that takes long is done before: contents are objects, and so are the catalogues of
trees. Nothing leads to them yet, so that collections may remove them, or what they have
found known: whoever puts them in place looks whether any was removed since.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from offload.cache.cvmfs.changes import Changes
from offload.cache.cvmfs.collection import mark
from offload.cache.cvmfs.drafts import Draft
from offload.cache.cvmfs.errors import RepositoryError
from offload.cache.cvmfs.packing import Packer
from offload.cache.cvmfs.rows import Row
from offload.cache.cvmfs.storage import Storage
from offload.cache.cvmfs.working import WorkingCopy, WrittenTree


class Prepared(NamedTuple):
    """Trees and entries that can be put in place, by ``Transaction.put_prepared``."""

    trees: tuple[WrittenTree, ...]
    entries: tuple[tuple[bytes, Row], ...]
    """Paths and rows of single entries."""
    is_whole: Callable[[], bool]
    """Whether no object of the repository was removed meanwhile; asked alone."""
    storage: Storage

    def check(self) -> None:
        """Make sure that every object is there; nobody removes any now.

        Raises:
            RepositoryError: one is not.
        """
        if self.is_whole():
            return
        try:
            used = mark(self.storage, [tree.nested.object for tree in self.trees])
        except RepositoryError as error:
            raise _removed(error) from None
        used.update(name for _, row in self.entries for name in row.objects())
        for name in used:
            if not self.storage.has(name):
                raise _removed(f"object {name} is not in the repository")


class Preparation(Changes):
    """What is put in here can be put in place later. Made by ``Repository.preparation``.

    It starts from what is published at the beginning; others may publish meanwhile.
    """

    def __init__(self, copy: WorkingCopy, packer: Packer, storage: Storage) -> None:
        super().__init__(copy, packer)
        self._storage = storage
        self._trees: dict[bytes, None] = {}
        self._entries: dict[bytes, Row] = {}

    def finish(self) -> Prepared:
        """Bring all that was put in to the disk.

        Raises:
            NoSpaceError: the disk is full.
        """
        trees = tuple(map(self._copy.write_tree, self._trees))
        self._packer.save()
        entries = tuple(self._entries.items())
        return Prepared(trees, entries, self._packer.is_whole, self._storage)

    def _mount(self, draft: Draft) -> None:
        super()._mount(draft)
        self._trees[draft.root] = None

    def _set(self, path: bytes, row: Row) -> None:
        super()._set(path, row)
        self._entries[path] = row


def _removed(reason: object) -> RepositoryError:
    return RepositoryError(
        f"{reason}: removed while its publication was prepared; prepare it again"
    )
