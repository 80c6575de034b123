"""Bytes into a new file: a block at a time, digested, holes instead of zeros."""

from __future__ import annotations

import hashlib
import os
from typing import IO, Protocol

from offload.outputs.states import BLOCK


class Source(Protocol):
    """What bytes are read from."""

    def read(self, size: int, /) -> bytes: ...


_HOLE = 1 << 16
"""Zeros of this length are not written; holes of file systems are 4 KiB and more."""

_ZEROS = bytes(_HOLE)


def copy(source: Source, target: IO[bytes]) -> tuple[str, int]:
    """Copy all that is left of ``source``; return its SHA-256 and size.

    ``target`` is an empty file, which gets holes where there are zeros.
    """
    digest, size = hashlib.sha256(), 0
    while block := source.read(BLOCK):
        digest.update(block)
        size += len(block)
        for start in range(0, len(block), _HOLE):
            piece = block[start : start + _HOLE]
            if piece == _ZEROS:
                target.seek(_HOLE, os.SEEK_CUR)
            else:
                target.write(piece)
    target.flush()
    os.ftruncate(target.fileno(), size)
    return digest.hexdigest(), size
