"""A folder of blobs named by their SHA-256, laid out as an OCI image layout.

Image Layout Specification 1.1 (opencontainers/image-spec, image-layout.md): ``skopeo``
and ``buildah`` read it as ``oci:FOLDER``. What is in ``blobs`` is complete and on the
disk: a blob is written elsewhere, synced, then renamed. Any number of processes may add
at once; only :meth:`LocalStore.alone` waits for them, and they for it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from offload.snapshot.errors import DamagedError, MissingError
from offload.snapshot.model import Blob
from offload.snapshot.store.space import room
from offload.snapshot.store.writing import BlobWriter, blob_path

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"


class LocalStore:
    """Snapshots in a folder of one person, mode 0700; made if need be.

    Raises:
        NoSpaceError: there is no room for the first files.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._blobs = path / "blobs" / "sha256"
        self._drafts = path / "drafts"
        with room(path):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._blobs.mkdir(parents=True, exist_ok=True)
            self._drafts.mkdir(exist_ok=True)
            layout = path / "oci-layout"
            if not layout.exists():
                self._replace(layout, b'{"imageLayoutVersion": "1.0.0"}')
            with self._locked("index.lock", fcntl.LOCK_EX):
                if not (path / "index.json").exists():
                    self._write_index([])

    # blobs

    def blob_path(self, digest: str) -> Path:
        """Return where a blob is, or would be.

        Raises:
            DamagedError: that is no digest we use.
        """
        return blob_path(self.path, digest)

    def has(self, digest: str) -> bool:
        """Whether the blob is there."""
        return self.blob_path(digest).exists()

    def blob(self, digest: str) -> Blob:
        """Describe a blob.

        Raises:
            MissingError: it is not there.
        """
        try:
            return Blob(digest, self.blob_path(digest).stat().st_size)
        except FileNotFoundError:
            raise self._missing(digest) from None

    def open(self, digest: str) -> BinaryIO:
        """Open a blob for reading; unbuffered.

        Raises:
            MissingError: it is not there.
        """
        try:
            return self.blob_path(digest).open("rb", buffering=0)
        except FileNotFoundError:
            raise self._missing(digest) from None

    def read(self, digest: str) -> bytes:
        """Return a small blob, verified.

        Raises:
            MissingError: it is not there.
            DamagedError: it is not what its name says.
        """
        with self.open(digest) as file:
            data = file.read()
        if hashlib.sha256(data).hexdigest() != digest.partition(":")[2]:
            raise DamagedError(f"{self.blob_path(digest)}: the content was changed")
        return data

    def writer(self) -> BlobWriter:
        """Start a new blob."""
        return BlobWriter(self.path, self._drafts / secrets.token_hex(16))

    def add(self, data: bytes) -> Blob:
        """Put bytes into the store; nothing happens if they are there.

        Raises:
            NoSpaceError: the disk is full.
        """
        blob = Blob.of(data)
        if not self.has(blob.digest):
            with self.writer() as writer:
                writer.write(data)
                writer.commit()
        return blob

    def digests(self) -> Iterator[str]:
        """Yield the digest of every blob there is."""
        for path in self._blobs.iterdir():
            yield f"sha256:{path.name}"

    # images

    def images(self) -> tuple[str, ...]:
        """Return the digests of the images' manifests, the oldest first."""
        return tuple(each["digest"] for each in self._index())

    def add_image(self, manifest: bytes, name: str) -> Blob:
        """Make an image known by a name; its blobs must be there.

        Raises:
            NoSpaceError: the disk is full.
        """
        blob = self.add(manifest)
        entry = {
            "mediaType": MANIFEST_TYPE,
            "digest": blob.digest,
            "size": blob.size,
            "annotations": {"org.opencontainers.image.ref.name": name},
        }
        with self._locked("index.lock", fcntl.LOCK_EX):
            known = self._index()
            if entry not in known:
                self._write_index([*known, entry])
        return blob

    def keep_images(self, digests: frozenset[str]) -> None:
        """Forget every image but these."""
        with self._locked("index.lock", fcntl.LOCK_EX):
            known = self._index()
            kept = [each for each in known if each["digest"] in digests]
            if kept != known:
                self._write_index(kept)

    def drop(self, digest: str) -> int:
        """Delete a blob that no image needs; return its bytes."""
        path = self.blob_path(digest)
        size = path.stat().st_size
        path.unlink()
        return size

    # who is at work

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Hold what is there: nothing is collected meanwhile, also by other processes.

        Removes what a process that was killed has left half-written, if no other works.
        """
        with self._locked("lock", fcntl.LOCK_SH) as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:  # others are at work
                fcntl.flock(lock, fcntl.LOCK_SH)
            else:
                self._clear()
                fcntl.flock(lock, fcntl.LOCK_SH)
            yield

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Wait until nobody is at work here, and keep others from beginning."""
        with self._locked("lock", fcntl.LOCK_EX):
            self._clear()
            yield

    @property
    def cache_path(self) -> Path:
        """File of what would only take time to find out again."""
        return self.path / "cache.sqlite"

    def _clear(self) -> None:
        for draft in self._drafts.iterdir():
            draft.unlink()

    @contextmanager
    def _locked(self, name: str, how: int) -> Iterator[BinaryIO]:
        with (self.path / name).open("ab") as lock:
            fcntl.flock(lock, how)
            yield lock

    def _index(self) -> list[dict[str, Any]]:
        try:
            data = json.loads((self.path / "index.json").read_bytes())
            return list(data["manifests"])
        except (ValueError, KeyError, TypeError):
            raise DamagedError(
                f"{self.path / 'index.json'}: expected an OCI index, got something else"
            ) from None

    def _write_index(self, manifests: list[dict[str, Any]]) -> None:
        document = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": manifests,
        }
        self._replace(self.path / "index.json", json.dumps(document, indent=1).encode())

    def _replace(self, path: Path, data: bytes) -> None:
        with self.writer() as writer:
            writer.write(data)
            writer.commit_as(path)

    def _missing(self, digest: str) -> MissingError:
        return MissingError(f"{self.path}: expected {digest} in the store, got nothing")
