"""A repository on disk: made, changed, turned back.

``FOLDER/public`` is what is served: objects, manifest, whitelist. ``FOLDER/private`` is
the publisher's: the index of contents, drafts, the lock. Both on one file system.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from offload.cache.cvmfs import manifest as manifests
from offload.cache.cvmfs import whitelist as whitelists
from offload.cache.cvmfs.cataloguing import write_catalogue
from offload.cache.cvmfs.contents import Contents
from offload.cache.cvmfs.drafts import Draft
from offload.cache.cvmfs.errors import RepositoryBusyError, RepositoryError
from offload.cache.cvmfs.history import (
    Tag,
    automatic_name,
    read_history,
    write_history,
)
from offload.cache.cvmfs.keys import Keys
from offload.cache.cvmfs.manifest import Manifest, SignedManifest
from offload.cache.cvmfs.names import ObjectName, Suffix
from offload.cache.cvmfs.namespace import Namespace
from offload.cache.cvmfs.objects import DEFAULT_LEVEL
from offload.cache.cvmfs.packing import Packer
from offload.cache.cvmfs.splitting import MOST_ROWS
from offload.cache.cvmfs.storage import Storage
from offload.cache.cvmfs.transaction import Transaction, folder_row
from offload.cache.cvmfs.whitelist import Whitelist

_FQRN = re.compile(r"[a-z0-9][a-z0-9-]*(?:\.[a-z0-9][a-z0-9-]*)+")
_TAG = re.compile(r"[\w][\w.:/@+-]{0,254}", re.ASCII)
_EMPTY = (".cvmfs_last_snapshot", ".cvmfs_is_snapshotting")
"""Files that clients ask for; where they are missing they ask again, slowly."""
_LOOK_AGAIN_S = 0.05


@dataclass(frozen=True, slots=True)
class Settings:
    """How a repository is written."""

    level: int = DEFAULT_LEVEL
    """zlib's, 0 to 9."""
    workers: int | None = None
    """Threads that compress; by default as many as there are cores."""
    ttl_s: int = 60
    """For so long a client need not ask for a newer revision."""
    whitelist_days: int = 30
    """For so long a signed whitelist is valid."""
    most_rows: int = MOST_ROWS
    """A catalogue with more is cut."""


class Repository:
    """A repository that this process may write to. Made by :meth:`create` or `open`.

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
        self._keys = keys
        self._settings = settings or Settings()
        self._clock = clock
        self._storage = Storage(self.public, self._private / "drafts")

    @classmethod
    def create(
        cls,
        folder: Path,
        fqrn: str,
        keys: Keys,
        settings: Settings | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> Self:
        """Make a repository whose first revision is empty.

        Interrupted, it can be done again.

        Raises:
            RepositoryError: there is one already, or the name is none.
        """
        if _FQRN.fullmatch(fqrn) is None or len(fqrn) > 60:
            raise RepositoryError(
                f"repository {fqrn!r}: expected a name like environments.example.org "
                "(lower case, at least one dot, at most 60 characters)"
            )
        repository = cls(folder, fqrn, keys, settings, clock)
        repository._create()
        return repository

    @classmethod
    def open(
        cls,
        folder: Path,
        fqrn: str,
        keys: Keys,
        settings: Settings | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> Self:
        """Open a repository.

        Raises:
            RepositoryError: there is none, or it is another's.
        """
        repository = cls(folder, fqrn, keys, settings, clock)
        repository.head()
        return repository

    def head(self) -> Manifest:
        """Return the manifest of the revision that is published.

        Raises:
            RepositoryError: there is none.
            UntrustedError: it is not signed with our key.
        """
        try:
            data = (self.public / manifests.FILE_NAME).read_bytes()
        except FileNotFoundError:
            raise RepositoryError(
                f"{self.public}: there is no repository; make one first"
            ) from None
        return SignedManifest.parse(data).verify(
            self._keys.repository.certificate, self.fqrn
        )

    def tags(self) -> tuple[Tag, ...]:
        """Return the revisions that are kept, the oldest first."""
        return read_history(self._storage.read(self.head().history))

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

    def rollback(self, tag: str, *, wait_s: float = 0.0) -> Manifest:
        """Publish what a kept revision held, as the next revision.

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
                return transaction.commit()

    def renew_whitelist(self) -> Whitelist:
        """Sign the whitelist anew, valid from now on.

        Raises:
            RepositoryError: the master key is not here.
        """
        if self._keys.master is None:
            raise RepositoryError(
                f"{self.fqrn}: the master key is not here; sign the whitelist where it "
                "is and install it"
            )
        now = self._clock()
        whitelist = Whitelist(
            self.fqrn,
            now,
            now + timedelta(days=self._settings.whitelist_days),
            (self._keys.repository.fingerprint,),
        )
        self._write(whitelists.FILE_NAME, whitelist.sign(self._keys.master))
        return whitelist

    def install_whitelist(self, data: bytes, masters: list[bytes]) -> Whitelist:
        """Take over a whitelist that was signed elsewhere.

        Args:
            data: the file.
            masters: public halves (PEM) of the master keys that are trusted.

        Raises:
            UntrustedError: it is forged, expired, another's, or not of our key.
        """
        whitelist = Whitelist.verify(data, masters, self.fqrn, self._clock())
        whitelist.allow(self._keys.repository.certificate)
        self._write(whitelists.FILE_NAME, data)
        return whitelist

    def _create(self) -> None:
        if (self.public / manifests.FILE_NAME).exists():
            raise RepositoryError(f"{self.public}: there is a repository already")
        self.public.mkdir(parents=True, exist_ok=True)
        self._private.mkdir(mode=0o700, exist_ok=True)
        with self._alone(0.0):
            self._storage.make_folders()
            for name in _EMPTY:
                self._write(name, b"")
            if self._keys.master is not None:
                self.renew_whitelist()
            self._publish_root(Draft(b"", folder_row(b"")), 1, self._clock(), ())

    @contextmanager
    def _alone(self, wait_s: float) -> Iterator[None]:
        handle = os.open(
            self._private / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
        try:
            until = time.monotonic() + wait_s
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() >= until:
                        raise RepositoryBusyError(
                            f"{self.fqrn}: another process is writing to it; try again"
                        ) from None
                time.sleep(_LOOK_AGAIN_S)
            yield
        finally:
            os.close(handle)

    @contextmanager
    def _begin(self, root: ObjectName) -> Iterator[Transaction]:
        """Start from a root catalogue; the caller is alone."""
        self._storage.clear_drafts()
        settings = self._settings
        contents = Contents(self._private / "contents.sqlite")
        packer = Packer(self._storage, contents, settings.level, settings.workers)
        try:
            yield Transaction(
                self._storage,
                packer,
                root,
                settings.most_rows,
                settings.level,
                self._publish,
            )
        finally:
            packer.close()
            contents.close()

    def _publish(self, root: Draft, tag: str | None) -> Manifest:
        if tag is not None and (_TAG.fullmatch(tag) is None or _is_automatic(tag)):
            raise RepositoryError(
                f"tag {tag[:80]!r}: expected letters, digits and ._:/@+- "
                "(at most 255), and no revision's own name"
            )
        head, tags = self.head(), self.tags()
        if tag is None and self._same(root, head):
            return head
        # Clocks may be turned back, time may not.
        now = max(self._clock(), head.published)
        return self._publish_root(root, head.revision + 1, now, tags, tag)

    def _same(self, root: Draft, head: Manifest) -> bool:
        """Whether a root catalogue is the one that is published."""
        data = self._root(root, head.revision, head.published)
        return data == self._storage.read(head.catalogue)

    def _root(self, root: Draft, revision: int, published: datetime) -> bytes:
        return write_catalogue(
            b"",
            root.entries(),
            root.written(),
            root.below,
            revision=revision,
            modified=int(published.timestamp()),
            ttl_s=self._settings.ttl_s,
        )[0]

    def _publish_root(
        self,
        root: Draft,
        revision: int,
        now: datetime,
        tags: tuple[Tag, ...],
        tag: str | None = None,
    ) -> Manifest:
        now = now.astimezone(UTC).replace(microsecond=0)
        data = self._root(root, revision, now)
        catalogue = self._put(data, Suffix.CATALOGUE)
        names = [automatic_name(revision), *([tag] if tag is not None else [])]
        kept = [old for old in tags if old.name != tag]
        kept += [Tag(name, catalogue, len(data), revision, now) for name in names]
        manifest = Manifest(
            self.fqrn,
            revision,
            catalogue,
            len(data),
            self._put(self._keys.repository.certificate, Suffix.CERTIFICATE),
            self._put(write_history(self.fqrn, kept), Suffix.HISTORY),
            now,
            self._settings.ttl_s,
        )
        # From here on it is published: the file is replaced at once.
        self._write(manifests.FILE_NAME, manifest.sign(self._keys.repository))
        return manifest

    def _put(self, content: bytes, suffix: Suffix) -> ObjectName:
        return self._storage.put_content(content, suffix, self._settings.level)

    def _write(self, name: str, data: bytes) -> None:
        self._storage.write(os.fspath(self.public / name), data, is_flushed=True)


def _is_automatic(tag: str) -> bool:
    return re.fullmatch(r"revision-\d+", tag) is not None
