"""Reads layers: what is in them, one member after the other, never all at once."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from offload import zstd
from offload.snapshot.errors import DamagedError, UnsafeLayerError
from offload.snapshot.layers import tar
from offload.snapshot.layers.tar import Member

_PIECE = 1 << 20
_NOT_NAMES = {b"", b".", b".."}


class Layer:
    """A layer that is being read from its beginning to its end.

    Args:
        file: the compressed archive.
        name: of it, for errors.
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._name = name
        self._hashing = _Hashing(file)
        self._stream = zstd.ZstdFile(self._hashing)
        self._left = 0
        """Bytes of the current member's content and padding that are not read."""

    def members(self) -> Iterator[Member]:
        """Yield the members; the content of one is read before the next, or skipped.

        Raises:
            DamagedError: it is no layer.
            UnsafeLayerError: a path would reach out of the folder, or is neither file,
                folder nor symbolic link.
        """
        while (member := tar.read_member(self._exactly)) is not None:
            check_path(member.path)
            self._left = member.size + len(tar.padding(member.size))
            yield member
            while self._left:
                self._take(min(self._left, _PIECE))

    def content(self, member: Member) -> Iterator[bytes]:
        """Yield the content of the member at hand, piece by piece."""
        left = member.size
        while left:
            piece = self._take(min(left, _PIECE))
            left -= len(piece)
            yield piece

    def digest(self) -> str:
        """Return the digest of the whole compressed archive; reads what is left."""
        while self._hashing.read(_PIECE):
            pass
        return f"sha256:{self._hashing.sha.hexdigest()}"

    def _take(self, size: int) -> bytes:
        data = self._exactly(size)
        self._left -= size
        return data

    def _exactly(self, size: int) -> bytes:
        try:
            data: bytes = self._stream.read(size)
        except (zstd.ZstdError, EOFError) as error:
            raise DamagedError(f"{self._name}: no zstd archive: {error}") from None
        if len(data) != size:
            raise DamagedError(f"{self._name}: ends in the middle")
        return data


class _Hashing(io.RawIOBase):
    """A file that is hashed as it is read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.sha = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.sha.update(data)
        return data


def entries(blob: Path) -> Iterator[Member]:
    """Yield what a layer holds; deletions as files whose name begins with ``.wh.``.

    Raises:
        DamagedError: it is no layer.
        UnsafeLayerError: see :meth:`Layer.members`.
    """
    with blob.open("rb", buffering=0) as file:
        yield from Layer(file, blob.name).members()


def check_path(path: bytes) -> None:
    """Make sure that a path stays below the folder that it is relative to.

    Raises:
        UnsafeLayerError: it does not.
    """
    if not _NOT_NAMES.isdisjoint(path.split(b"/")):
        raise UnsafeLayerError(f"{path!r}: expected a path that stays in its folder")
