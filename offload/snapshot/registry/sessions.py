"""Remembers uploads under way, so that another process can go on with them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from offload.snapshot.registry.address import RegistryAddress
from offload.snapshot.store.local import LocalStore


class Sessions:
    """Where each blob is being uploaded to, in files beside the store's blobs."""

    def __init__(self, store: LocalStore, address: RegistryAddress) -> None:
        self._store = store
        self._folder = store.path / "uploads"
        self._address = str(address)

    def get(self, digest: str) -> str | None:
        """Return the location of the upload, if one was begun."""
        try:
            return self._path(digest).read_text() or None
        except OSError:
            return None

    def put(self, digest: str, location: str) -> None:
        """Note the location: it may change with every chunk.

        Raises:
            NoSpaceError: the disk is full.
        """
        self._folder.mkdir(exist_ok=True)
        with self._store.writer() as writer:
            writer.write(location.encode())
            writer.commit_as(self._path(digest))

    def drop(self, digest: str) -> None:
        """Forget an upload that is done."""
        self._path(digest).unlink(missing_ok=True)

    def _path(self, digest: str) -> Path:
        name = hashlib.sha256(f"{self._address} {digest}".encode()).hexdigest()
        return self._folder / name
