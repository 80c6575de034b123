"""Changes to a repository that become visible together, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from offload.cache.cvmfs.changes import Changes, absolute
from offload.cache.cvmfs.drafts import Draft
from offload.cache.cvmfs.errors import RepositoryError
from offload.cache.cvmfs.manifest import Manifest
from offload.cache.cvmfs.namespace import Namespace
from offload.cache.cvmfs.packing import Packer
from offload.cache.cvmfs.preparation import Prepared
from offload.cache.cvmfs.rows import Row
from offload.cache.cvmfs.working import WorkingCopy


class Transaction(Changes):
    """What a repository is to become. Made by ``Repository.transaction``.

    Args:
        copy, packer: see :class:`Changes`.
        publish: makes a root catalogue the next revision.
    """

    def __init__(
        self,
        copy: WorkingCopy,
        packer: Packer,
        publish: Callable[[Draft, str | None], Manifest],
    ) -> None:
        super().__init__(copy, packer)
        self._publish = publish

    def put_prepared(self, prepared: Prepared) -> None:
        """Put what was prepared in its places; no content is read.

        Raises:
            RepositoryError: objects of it have been removed since: prepare it again.
        """
        prepared.check()
        for tree in prepared.trees:
            self._copy.graft(tree)
        for path, row in prepared.entries:
            self._copy.put(path, row)

    def take_over(self, source: Namespace, paths: Iterable[bytes]) -> None:
        """Put trees of another revision where nothing lies; no content is read.

        What is not there, or cannot be read, is left out.
        """
        for path in map(absolute, paths):
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
        return self._copy.remove(absolute(path))

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


def _plain(row: Row) -> Row:
    return row._replace(is_mount_point=False, is_catalogue_root=False)
