"""Takes blobs of images from people's agents, piece by piece, for who has no registry."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from facility.text import counted
from offload.cache.errors import DigestError, NoSpaceError
from offload.cache.publishing.errors import MissingImageError, NoImageError, ShareError
from offload.cache.publishing.images import Image, digest_of, read_manifest
from offload.cache.receiving import Incoming, room
from offload.snapshot.errors import MissingError
from offload.snapshot.model import Blob
from offload.snapshot.store.local import LocalStore

LARGEST_CONFIG = 16 << 20
"""Bytes of an image's configuration."""


class Inbox:
    """Blobs on their way, in a store; what is complete is verified. Any thread may ask.

    Args:
        store: where complete blobs are.
        drafts: folder of those that are not; on the same file system.
        quota_bytes: what both may take together; one person no more than half of what
            the others leave of it.
        is_published: whether a layer is in the repository, so that nobody has to send it.
    """

    def __init__(
        self,
        store: LocalStore,
        drafts: Path,
        quota_bytes: int,
        is_published: Callable[[str], bool],
    ) -> None:
        self._store = store
        self._drafts = drafts
        self._quota_bytes = quota_bytes
        self._is_published = is_published
        self._complete = store.path / "blobs" / "sha256"
        self._lock = threading.RLock()
        self._promised: dict[str, int] = {}
        """Bytes that drafts will have, by the name of the file."""
        self._senders: dict[str, str] = {}
        """Who began to send a blob, by the name of the file; what was here before this
        process counts as others'."""
        drafts.mkdir(mode=0o700, parents=True, exist_ok=True)

    @contextmanager
    def still(self) -> Iterator[None]:
        """Let nobody else take an image or clear away what came, for a moment."""
        with self._lock:
            yield

    def missing(self, blobs: Iterable[Blob], person: str) -> list[tuple[str, int]]:
        """Return which of these have to be sent, each with where to go on.

        What is here stays for the whole grace period again.

        Raises:
            NoSpaceError: they do not fit into the inbox.
            ShareError: they do not fit into the part of the person who sends them.
        """
        found: list[tuple[str, int]] = []
        size = 0
        for blob in blobs:
            if not self.has(blob.digest):
                incoming = self._incoming(blob)
                # We may have been killed before the last byte was followed by this.
                with suppress(DigestError):
                    if incoming.commit():
                        continue
                found.append((blob.digest, incoming.offset))
                size += blob.size - incoming.offset
            self._refresh(blob.digest)
        if found:
            with self._lock:
                self._require_room(size, person)
        return found

    def has(self, digest: str) -> bool:
        """Whether nobody has to send a blob."""
        return self._store.has(digest) or self._is_published(digest)

    def incoming(self, blob: Blob, person: str) -> Incoming:
        """Return a blob to append to; there is room for all of it from now on.

        Raises:
            NoSpaceError: it does not fit into the inbox.
            ShareError: it does not fit into the part of the person who sends it.
        """
        incoming = self._incoming(blob)
        name = self._store.blob_path(blob.digest).name
        with self._lock:
            here = max(incoming.offset, self._promised.get(name, 0))
            if blob.size > here:
                self._require_room(blob.size - here, person)
            with room(self._drafts):
                if not self.has(blob.digest):
                    (self._drafts / name).touch(mode=0o600)
            self._promised[name] = max(blob.size, here)
            self._senders.setdefault(name, person)
        return incoming

    def drop_older(self, moment: float, waiting: Iterable[str]) -> None:
        """Delete what came before a moment, and no image that waits refers to.

        Args:
            moment: seconds since the epoch.
            waiting: digests of the images that wait to be published.
        """
        with self._lock:
            kept = {name.partition(":")[2] for name in blobs_of(self._store, waiting)}
            for path in [*self._drafts.iterdir(), *self._complete.iterdir()]:
                with suppress(FileNotFoundError):
                    if path.name not in kept and path.stat().st_mtime < moment:
                        path.unlink()

    def take(self, manifest: bytes, digest: str, architecture: str) -> Image:
        """Take an image whose blobs are here; its manifest is on the disk afterwards.

        Raises:
            NoImageError: it is none, or another than was said.
            MissingImageError: blobs of it are missing.
        """
        if digest_of(manifest) != digest:
            raise NoImageError(
                f"expected the image {digest}, got {digest_of(manifest)}"
            )
        image = read_manifest(manifest, architecture)
        if isinstance(image, str):
            raise NoImageError("expected an image, got an index of several")
        if image.config.size > LARGEST_CONFIG:
            raise NoImageError(f"a configuration of {image.config.size:,} bytes")
        with self._lock:
            # From here to its place in the queue it must not grow too old.
            for blob in image.blobs:
                self._refresh(blob.digest)
            missing = [blob for blob in image.layers if not self.has(blob.digest)]
            if not self._store.has(image.config.digest):
                missing.append(image.config)
            if missing:
                raise MissingImageError(
                    f"{digest} lacks {counted(len(missing), 'blob')}, such as "
                    f"{missing[0].digest}: not sent, or so long ago; send them again"
                )
            with self._store.in_use():  # else who is at work clears away what we write
                self._store.add(manifest)
        return image

    def _incoming(self, blob: Blob) -> Incoming:
        place = self._store.blob_path(blob.digest)
        return Incoming(self._drafts / place.name, place, blob.digest, blob.size)

    def _refresh(self, digest: str) -> None:
        with suppress(FileNotFoundError):
            os.utime(self._store.blob_path(digest))

    def _require_room(self, size: int, person: str) -> None:
        """Raise unless so much more of a person fits in; the lock is held."""
        here = {path.name: _size(path) for path in self._drafts.iterdir()}
        self._promised = {n: b for n, b in self._promised.items() if n in here}
        here = {n: max(b, self._promised.get(n, 0)) for n, b in here.items()}
        here |= {path.name: _size(path) for path in self._complete.iterdir()}
        self._senders = {n: who for n, who in self._senders.items() if n in here}
        taken = sum(here.values())
        if taken + size > self._quota_bytes:
            raise NoSpaceError(
                f"the publisher's inbox has no room for {size:,} bytes more; later it may"
            )
        own = sum(b for n, b in here.items() if self._senders.get(n) == person)
        share = (self._quota_bytes - (taken - own)) // 2
        if own + size > share:
            raise ShareError(
                f"the publisher's inbox: expected at most {share:,} bytes of one person "
                f"now, half of what others leave; {person} has {own:,} in it and asks "
                f"for {size:,} more: try again once those are published, or have "
                "`inbox` of `publisher` in facility.yaml made larger"
            )


def blobs_of(store: LocalStore, images: Iterable[str]) -> set[str]:
    """Return the digests of those images' manifests and blobs.

    What a store does not have the manifest of is left out.
    """
    found: set[str] = set()
    for digest in images:
        with suppress(MissingError, NoImageError):
            image = read_manifest(store.read(digest), "")
            if isinstance(image, Image):
                found |= {digest, *(blob.digest for blob in image.blobs)}
    return found


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # put in place, or dropped, a moment ago
        return 0
