"""Makes a layer: a tar archive that depends only on what is in it, through zstd."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Literal, Self

from offload import zstd
from offload.snapshot.files.survey import WHITEOUT
from offload.snapshot.layers import tar
from offload.snapshot.model import Layer
from offload.snapshot.store.local import LocalStore
from offload.snapshot.tree import Entry, Kind

_LEVEL = 1
"""A little larger than zstd's default of 3, twice as quick."""
_FLUSH_AT = 1 << 18
"""Bytes given to the compressor at once; below, calls cost more than their work."""
_COPIED = 1 << 16
"""Bytes below which pieces are put together first."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a layer to go back to."""

    blob: tuple[int, Any]
    archive: Any


class LayerWriter:
    """A layer in the making: nothing of it is left unless it is committed.

    Args:
        store: where to.
        role: of the part; all paths are below it.

    Raises:
        NoSpaceError: from any method: the disk is full.
    """

    def __init__(self, store: LocalStore, role: str) -> None:
        self._blob = store.writer()
        self._archive = hashlib.sha256()
        self._compressor = zstd.ZstdCompressor(level=_LEVEL)
        self._buffer = bytearray()
        self._start = role.encode() + b"/" if role else b""
        self._role = role

    def __enter__(self) -> Self:
        self._blob.__enter__()
        folder = b""
        for name in self._role.encode().split(b"/") if self._role else ():
            folder = folder + b"/" + name if folder else name
            self._write(tar.header(folder, Kind.FOLDER, 0o755))
        return self

    def __exit__(self, *exception: object) -> None:
        self._blob.__exit__(*exception)

    def add(self, entry: Entry, content: bytes | memoryview = b"") -> None:
        """Add a path with its whole content."""
        path, kind, mode, size, _, target = entry
        self._write(tar.header(self._start + path, kind, mode, size, target))
        if content:
            self._write(content)
            self._write(tar.padding(size))

    def begin(self, path: bytes, mode: int, size: int) -> None:
        """Begin a file whose content follows piece by piece."""
        self._write(tar.header(self._start + path, Kind.FILE, mode, size))

    def append(self, piece: memoryview) -> None:
        """Add to the content of the file that was begun."""
        self._write(piece)

    def finish(self, size: int) -> None:
        """End the file that was begun, of ``size`` bytes."""
        self._write(tar.padding(size))

    def remove(self, path: bytes) -> None:
        """Mark a path of lower layers as deleted, with all that is below it."""
        folder, slash, name = path.rpartition(b"/")
        full = self._start + folder + slash + WHITEOUT + name
        self._write(tar.header(full, Kind.FILE, 0o644))

    def mark(self) -> Mark:
        """Return a place to go back to. Costs the compressor its memory."""
        self._flush(zstd.ZstdCompressor.FLUSH_FRAME)
        return Mark(self._blob.mark(), self._archive.copy())

    def back_to(self, mark: Mark) -> None:
        """Forget what was added after a mark."""
        self._buffer.clear()
        # What the compressor has of the torn file goes with its frame.
        self._compressor = zstd.ZstdCompressor(level=_LEVEL)
        self._blob.back_to(mark.blob)
        self._archive = mark.archive.copy()

    def commit(self) -> Layer:
        """Put the layer into the store."""
        self._write(tar.END)
        self._flush(zstd.ZstdCompressor.FLUSH_FRAME)
        blob = self._blob.commit()
        return Layer(blob.digest, blob.size, f"sha256:{self._archive.hexdigest()}")

    def _write(self, data: bytes | memoryview) -> None:
        if len(data) < _COPIED:
            self._buffer += data
            if len(self._buffer) >= _FLUSH_AT:
                self._flush(zstd.ZstdCompressor.CONTINUE)
            return
        self._flush(zstd.ZstdCompressor.CONTINUE)
        self._pass(data, zstd.ZstdCompressor.CONTINUE)

    def _flush(self, mode: Literal[0, 1, 2]) -> None:
        self._pass(self._buffer, mode)
        self._buffer.clear()

    def _pass(
        self, data: bytes | bytearray | memoryview, mode: Literal[0, 1, 2]
    ) -> None:
        self._archive.update(data)
        packed = self._compressor.compress(data, mode=mode)
        if packed:
            self._blob.write(packed)
