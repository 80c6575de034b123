"""Writes a blob so that it is there whole, or not at all."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any, BinaryIO, Self

from offload.snapshot.errors import DamagedError
from offload.snapshot.model import Blob
from offload.snapshot.store.space import room


def blob_path(folder: Path, digest: str) -> Path:
    """Return where a blob is in an OCI image layout.

    Raises:
        DamagedError: that is no SHA-256 digest.
    """
    algorithm, _, name = digest.partition(":")
    if algorithm != "sha256" or len(name) != 64 or set(name) - set("0123456789abcdef"):
        raise DamagedError(f"expected sha256:HEX, got {digest[:100]!r}")
    return folder / "blobs" / "sha256" / name


class BlobWriter:
    """A blob in the making: nothing of it is left unless it is committed.

    Its methods raise :class:`NoSpaceError` when the disk is full.

    Args:
        folder: of the store; where :func:`blob_path` leads from.
        draft: file that does not exist, on the same file system.
    """

    def __init__(self, folder: Path, draft: Path) -> None:
        self._folder = folder
        self._draft = draft
        self._sha = hashlib.sha256()
        self._file: BinaryIO | None = None
        self.size = 0

    def __enter__(self) -> Self:
        with room(self._folder):
            self._file = self._draft.open("xb", buffering=0)
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
        self._draft.unlink(missing_ok=True)

    @property
    def draft(self) -> Path:
        """Where its bytes are until it is committed."""
        return self._draft

    @property
    def digest(self) -> str:
        """Of what was written so far."""
        return f"sha256:{self._sha.hexdigest()}"

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append bytes."""
        assert self._file is not None
        view = memoryview(data)
        with room(self._folder):
            while view:
                view = view[self._file.write(view) :]
        self._sha.update(data)
        self.size += len(data)

    def mark(self) -> tuple[int, Any]:
        """Return a place for :meth:`back_to`."""
        return self.size, self._sha.copy()

    def back_to(self, mark: tuple[int, Any]) -> None:
        """Forget what was written after a mark."""
        assert self._file is not None
        self.size, sha = mark
        self._sha = sha.copy()
        os.ftruncate(self._file.fileno(), self.size)
        self._file.seek(self.size)

    def commit(self, expected: str | None = None) -> Blob:
        """Put the blob in its place, synced; return what it is.

        Raises:
            DamagedError: it is not the one expected.
        """
        if expected is not None and expected != self.digest:
            raise DamagedError(f"expected a blob {expected}, got {self.digest}")
        blob = Blob(self.digest, self.size)
        self.commit_as(blob_path(self._folder, blob.digest))
        return blob

    def commit_as(self, path: Path) -> None:
        """Put the bytes at a path, synced, in place of what is there."""
        assert self._file is not None
        with room(self._folder):
            os.fchmod(self._file.fileno(), 0o600)
            os.fsync(self._file.fileno())
            self._draft.replace(path)
            folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
