"""What a repository says of itself, signed: manifest, history and whitelist.

Here a revision becomes the one that is published, by the change of one file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from offload.cache.cvmfs import manifest as manifests
from offload.cache.cvmfs import whitelist as whitelists
from offload.cache.cvmfs.cataloguing import write_catalogue
from offload.cache.cvmfs.drafts import Draft
from offload.cache.cvmfs.errors import RepositoryError
from offload.cache.cvmfs.history import (
    Tag,
    automatic_name,
    read_history,
    write_history,
)
from offload.cache.cvmfs.keys import Keys
from offload.cache.cvmfs.manifest import Manifest, SignedManifest
from offload.cache.cvmfs.names import ObjectName, Suffix
from offload.cache.cvmfs.settings import Settings
from offload.cache.cvmfs.storage import Storage
from offload.cache.cvmfs.whitelist import Whitelist

_TAG = re.compile(r"[\w][\w.:/@+-]{0,254}", re.ASCII)
_EMPTY = (".cvmfs_last_snapshot", ".cvmfs_is_snapshotting")
"""Files that clients ask for; where they are missing they ask again, slowly."""


class Publication:
    """Reads and replaces the signed files. Who replaces them is alone.

    Args:
        public: the folder that is served.
        storage: of the objects in it.
        fqrn: the repository's name.
        keys: who signs.
        settings: how it is written.
        clock: tells the time, UTC.
    """

    def __init__(
        self,
        public: Path,
        storage: Storage,
        fqrn: str,
        keys: Keys,
        settings: Settings,
        clock: Callable[[], datetime],
    ) -> None:
        self._public = public
        self._storage = storage
        self._fqrn = fqrn
        self._keys = keys
        self._settings = settings
        self._clock = clock

    @property
    def exists(self) -> bool:
        """Whether anything has been published."""
        return (self._public / manifests.FILE_NAME).exists()

    def start(self, root: Draft) -> None:
        """Publish the first revision; where the master key is, the whitelist too."""
        for name in _EMPTY:
            self._write(name, b"")
        if self._keys.master is not None:
            self.renew_whitelist()
        self._publish(root, 1, self._clock(), ())

    def head(self) -> Manifest:
        """Return the manifest of the revision that is published.

        Raises:
            RepositoryError: there is none.
            UntrustedError: it is not signed with our key.
        """
        try:
            data = (self._public / manifests.FILE_NAME).read_bytes()
        except FileNotFoundError:
            raise RepositoryError(
                f"{self._public}: there is no repository; make one first"
            ) from None
        return SignedManifest.parse(data).verify(
            self._keys.repository.certificate, self._fqrn
        )

    def tags(self) -> tuple[Tag, ...]:
        """Return the revisions that are kept, the oldest first."""
        return read_history(self._storage.read(self.head().history))

    def publish(self, root: Draft, tag: str | None) -> Manifest:
        """Make a root catalogue the next revision, unless it is the published one.

        Raises:
            RepositoryError: the tag is no name.
        """
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
        return self._publish(root, head.revision + 1, now, tags, tag)

    def keep(self, tags: Iterable[Tag]) -> None:
        """Publish the same revision, with these tags."""
        history = self._put(write_history(self._fqrn, tags), Suffix.HISTORY)
        self._sign(replace(self.head(), history=history))

    def renew_whitelist(self) -> Whitelist:
        """Sign the whitelist anew, valid from now on.

        Raises:
            RepositoryError: the master key is not here.
        """
        if self._keys.master is None:
            raise RepositoryError(
                f"{self._fqrn}: the master key is not here; sign the whitelist where it "
                "is and install it"
            )
        now = self._clock()
        whitelist = Whitelist(
            self._fqrn,
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
        whitelist = Whitelist.verify(data, masters, self._fqrn, self._clock())
        whitelist.allow(self._keys.repository.certificate)
        self._write(whitelists.FILE_NAME, data)
        return whitelist

    def _same(self, root: Draft, head: Manifest) -> bool:
        """Whether a root catalogue is the one that is published."""
        data = self._root(root, head.revision, head.published)
        try:
            return data == self._storage.read(head.catalogue)
        except RepositoryError:  # damaged: what is whole takes its place
            return False

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

    def _publish(
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
            self._fqrn,
            revision,
            catalogue,
            len(data),
            self._put(self._keys.repository.certificate, Suffix.CERTIFICATE),
            self._put(write_history(self._fqrn, kept), Suffix.HISTORY),
            now,
            self._settings.ttl_s,
        )
        self._sign(manifest)
        return manifest

    def _sign(self, manifest: Manifest) -> None:
        # What it names outlives the machine's going down, then it is named.
        self._storage.sync()
        # From here on it is published: the file is replaced at once.
        self._write(manifests.FILE_NAME, manifest.sign(self._keys.repository))

    def _put(self, content: bytes, suffix: Suffix) -> ObjectName:
        return self._storage.put_content(content, suffix, self._settings.level)

    def _write(self, name: str, data: bytes) -> None:
        self._storage.write(os.fspath(self._public / name), data, is_flushed=True)


def _is_automatic(tag: str) -> bool:
    return re.fullmatch(r"revision-\d+", tag) is not None
