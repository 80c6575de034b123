"""Takes blobs of images from people's agents, piece by piece, for who has no registry."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from offload.cache.errors import DigestError, NoSpaceError
from offload.cache.publishing.errors import MissingImageError, NoImageError
from offload.cache.publishing.images import Image, digest_of, read_manifest
from offload.cache.receiving import Incoming
from offload.snapshot.model import Blob
from offload.snapshot.store.local import LocalStore

LARGEST_CONFIG = 16 << 20
"""Bytes of an image's configuration."""


class Inbox:
    """Blobs on their way, in a store; what is complete is verified.

    Args:
        store: where complete blobs are.
        drafts: folder of those that are not; on the same file system.
        quota_bytes: what both may take together.
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
        drafts.mkdir(mode=0o700, parents=True, exist_ok=True)

    def missing(self, blobs: Iterable[Blob]) -> list[tuple[str, int]]:
        """Return which of these have to be sent, each with where to go on."""
        found: list[tuple[str, int]] = []
        for blob in blobs:
            if not self.has(blob.digest):
                incoming = self.incoming(blob)
                # We may have been killed before the last byte was followed by this.
                with suppress(DigestError):
                    if incoming.commit():
                        continue
                found.append((blob.digest, incoming.offset))
        return found

    def has(self, digest: str) -> bool:
        """Whether nobody has to send a blob."""
        return self._store.has(digest) or self._is_published(digest)

    def incoming(self, blob: Blob) -> Incoming:
        """Return a blob to append to.

        Raises:
            NoSpaceError: it does not fit into the inbox.
        """
        place = self._store.blob_path(blob.digest)
        incoming = Incoming(self._drafts / place.name, place, blob.digest, blob.size)
        if incoming.offset == 0 and self.size() + blob.size > self._quota_bytes:
            raise NoSpaceError(
                f"the publisher's inbox has no room for {blob.size:,} bytes more; "
                "later it may"
            )
        return incoming

    def size(self) -> int:
        """Return the bytes of all that is here."""
        return sum(_size(path) for path in self._files())

    def drop_older(self, moment: float) -> None:
        """Delete what came before a moment (seconds since the epoch), for nothing."""
        for path in self._files():
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < moment:
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
        missing = [blob for blob in image.layers if not self.has(blob.digest)]
        if not self._store.has(image.config.digest):
            missing.append(image.config)
        if missing:
            raise MissingImageError(
                f"{len(missing)} blobs of {digest} were not sent, such as "
                f"{missing[0].digest}"
            )
        with self._store.in_use():  # else who is at work clears away what we write
            self._store.add(manifest)
        return image

    def _files(self) -> Iterator[Path]:
        for folder in (self._drafts, self._store.path / "blobs" / "sha256"):
            yield from folder.iterdir()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # put in place, or dropped, a moment ago
        return 0
