"""A repository on disk: made, changed, turned back.

``FOLDER/public`` is what is served: objects, manifest, whitelist. ``FOLDER/private`` is
the publisher's: the index of contents, drafts, the lock. Both on one file system.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from offload.cache.cvmfs.changes import tools
from offload.cache.cvmfs.collection import Collected, Collection
from offload.cache.cvmfs.contents import Contents
from offload.cache.cvmfs.drafts import Draft
from offload.cache.cvmfs.errors import RepositoryError
from offload.cache.cvmfs.history import Tag
from offload.cache.cvmfs.keys import Keys
from offload.cache.cvmfs.lock import held
from offload.cache.cvmfs.manifest import Manifest
from offload.cache.cvmfs.names import ObjectName
from offload.cache.cvmfs.namespace import Namespace
from offload.cache.cvmfs.preparation import Preparation
from offload.cache.cvmfs.publication import Publication
from offload.cache.cvmfs.settings import Settings
from offload.cache.cvmfs.storage import Storage
from offload.cache.cvmfs.transaction import Transaction
from offload.cache.cvmfs.trees import folder_row
from offload.cache.cvmfs.verification import Verification, Verified
from offload.cache.cvmfs.whitelist import Whitelist

__all__ = ["Repository", "Settings"]

_FQRN = re.compile(r"[a-z0-9][a-z0-9-]*(?:\.[a-z0-9][a-z0-9-]*)+")


class Repository:
    """A repository that this process may write to, once :meth:`create` or `open` is done.

    Args:
        folder: see the module.
        fqrn: the fully qualified name, such as ``environments.example.org``.
        keys: who signs.
        settings: how it is written.
        clock: tells the time, UTC.
    """

    def __init__(
        self,
        folder: Path,
        fqrn: str,
        keys: Keys,
        settings: Settings | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.public = folder / "public"
        """What is to be served."""
        self.fqrn = fqrn
        self._private = folder / "private"
        self._index = self._private / "contents.sqlite"
        self._settings = settings or Settings()
        self._clock = clock
        self._storage = Storage(self.public, self._private / "drafts")
        self._publication = Publication(
            self.public, self._storage, fqrn, keys, self._settings, clock
        )

    def create(self) -> Self:
        """Make it, with a first revision that is empty; interrupted, do it again.

        Raises:
            RepositoryError: there is one already, or the name is none.
        """
        if _FQRN.fullmatch(self.fqrn) is None or len(self.fqrn) > 60:
            raise RepositoryError(
                f"repository {self.fqrn!r}: expected a name like "
                "environments.example.org (lower case, at least one dot, at most 60 "
                "characters)"
            )
        self.public.mkdir(parents=True, exist_ok=True)
        self._private.mkdir(mode=0o700, exist_ok=True)
        with self._alone(0.0):
            if self._publication.exists:
                raise RepositoryError(f"{self.public}: there is a repository already")
            self._storage.make_folders()
            self._publication.start(Draft(b"", folder_row(b"")))
        return self

    def open(self) -> Self:
        """Make sure that it is there, and ours.

        Raises:
            RepositoryError: there is none, or it is another's.
        """
        self.head()
        return self

    def head(self) -> Manifest:
        """Return the manifest of the revision that is published.

        Raises:
            RepositoryError: there is none.
            UntrustedError: it is not signed with our key.
        """
        return self._publication.head()

    def tags(self) -> tuple[Tag, ...]:
        """Return the revisions that are kept, the oldest first."""
        return self._publication.tags()

    def namespace(self, root: ObjectName | None = None) -> Namespace:
        """Return all paths of the revision with that root; by default the one published."""
        root = root or self.head().catalogue
        return Namespace(root, self._storage.catalogue)

    @contextmanager
    def transaction(self, *, wait_s: float = 0.0) -> Iterator[Transaction]:
        """Collect changes; they are published by ``commit``, or not at all.

        Args:
            wait_s: for so long another writer may take.

        Raises:
            RepositoryBusyError: another one is writing.
        """
        with self._alone(wait_s), self._begin(self.head().catalogue) as transaction:
            yield transaction

    @contextmanager
    def preparation(self, *, wait_s: float = 0.0) -> Iterator[Preparation]:
        """Make changes ready that a transaction is to put in place.

        Any number of them at once, and others publish and collect meanwhile.

        Args:
            wait_s: for so long another writer may take before it begins, and where what
                is known is noted for good.

        Raises:
            RepositoryBusyError: another one is writing.
        """

        def alone() -> AbstractContextManager[None]:
            return self._alone(wait_s)

        with self._storage.drafting(wait_s), ExitStack() as stack:
            with (
                alone()
            ):  # nobody removes anything while we note from when on it counts
                root = self.head().catalogue
                opened = tools(self._storage, self._index, self._settings, root, alone)
                copy, packer = stack.enter_context(opened)
            yield Preparation(copy, packer, self._storage)

    def rollback(
        self, tag: str, *, keep: Iterable[bytes] = (), wait_s: float = 0.0
    ) -> Manifest:
        """Publish what a kept revision held, as the next revision.

        Args:
            tag: of that revision.
            keep: paths of trees that stay as they are now where it had none.
            wait_s: for so long another writer may take.

        Raises:
            RepositoryError: there is no such tag.
            RepositoryBusyError: another one is writing.
        """
        with self._alone(wait_s):
            found = [kept for kept in self.tags() if kept.name == tag]
            if not found:
                raise RepositoryError(
                    f"there is no tag {tag!r} in {self.fqrn}; see which there are"
                )
            with self._begin(found[0].catalogue) as transaction:
                transaction.take_over(self.namespace(), keep)
                return transaction.commit()

    def untag(self, tag: str, *, wait_s: float = 0.0) -> None:
        """Take a name from its revision; without one, the revision may be forgotten.

        Raises:
            RepositoryError: there is no such tag, or it is the revision's own name.
            RepositoryBusyError: another one is writing.
        """
        with self._alone(wait_s):
            tags = self.tags()
            kept = [old for old in tags if old.name != tag or old.is_automatic]
            if len(kept) == len(tags):
                raise RepositoryError(f"there is no tag {tag!r} in {self.fqrn}")
            self._publication.keep(kept)

    def collect(
        self,
        keep: int,
        grace: timedelta,
        *,
        dry_run: bool = False,
        wait_s: float = 0.0,
    ) -> Collected:
        """Forget old revisions, and remove what then nothing has named for long enough.

        Named revisions are kept until :meth:`untag`. Killed, it can be done again. Others
        publish meanwhile: they wait for a part of it at most.

        Args:
            keep: revisions without a name that are kept: the newest.
            grace: for so long nothing must have named an object.
            dry_run: change nothing, say what would be done.
            wait_s: for so long another writer, or collection, may take.

        Raises:
            RepositoryBusyError: another one is writing, or collecting.
            RepositoryError: a kept revision is damaged; nothing is removed.
        """
        with (
            held(self._private / "collecting", wait_s),
            closing(Contents(self._index)) as contents,
        ):
            collection = Collection(
                self._storage,
                self._publication,
                contents,
                keep,
                lambda: self._alone(wait_s),
                dry_run=dry_run,
            )
            return collection.run(self._clock(), grace)

    def verify(self, *, wait_s: float = 0.0) -> Iterator[Verified]:
        """Read every object, a step at a time; go on where the last verification stopped.

        What is damaged is not served any more, and made anew when it is published again.

        Args:
            wait_s: for so long another writer may take once something is damaged.

        Raises:
            RepositoryBusyError: another one is writing.
        """
        with closing(Contents(self._index)) as contents:
            yield from Verification(
                self._storage,
                self._publication,
                contents,
                self._private / "verified",
                lambda: self._alone(wait_s),
            ).run()

    def lost(self) -> frozenset[ObjectName]:
        """Return the objects that were found damaged and are not published again yet."""
        return self._storage.lost()

    def renew_whitelist(self, *, wait_s: float = 0.0) -> Whitelist:
        """Sign the whitelist anew, valid from now on.

        Raises:
            RepositoryError: the master key is not here.
            RepositoryBusyError: another one is writing.
        """
        with self._alone(wait_s):
            return self._publication.renew_whitelist()

    def install_whitelist(
        self, data: bytes, masters: list[bytes], *, wait_s: float = 0.0
    ) -> Whitelist:
        """Take over a whitelist that was signed elsewhere.

        Args:
            data: the file.
            masters: public halves (PEM) of the master keys that are trusted.
            wait_s: for so long another writer may take.

        Raises:
            UntrustedError: it is forged, expired, another's, or not of our key.
            RepositoryBusyError: another one is writing.
        """
        with self._alone(wait_s):
            return self._publication.install_whitelist(data, masters)

    def _alone(self, wait_s: float) -> AbstractContextManager[None]:
        return held(self._private / "lock", wait_s)

    @contextmanager
    def _begin(self, root: ObjectName) -> Iterator[Transaction]:
        """Start from a root catalogue; the caller is alone."""
        self._storage.clear_drafts()
        with tools(self._storage, self._index, self._settings, root) as (copy, packer):
            yield Transaction(copy, packer, self._publication.publish)
