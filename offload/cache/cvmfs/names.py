"""How a repository names things: objects by their bytes, entries by their path.

CernVM-FS technical documentation, "Implementation Notes": content-addressable storage
and file catalogues.
"""

from __future__ import annotations

import hashlib
import re
import struct
from enum import StrEnum
from typing import NamedTuple, Self

from offload.cache.cvmfs.errors import RepositoryError

_HEX = re.compile(r"[0-9a-f]{40}")
_NUMBERS = struct.Struct("<qq")


class Suffix(StrEnum):
    """What an object is; closes its name."""

    FILE = ""
    CHUNK = "P"
    """A part of a large file."""
    CATALOGUE = "C"
    HISTORY = "H"
    CERTIFICATE = "X"


class ObjectName(NamedTuple):
    """The name of an object."""

    digest: bytes
    """SHA-1 of its *compressed* bytes, 20 bytes."""
    suffix: Suffix = Suffix.FILE

    @classmethod
    def of(cls, compressed: bytes, suffix: Suffix = Suffix.FILE) -> Self:
        """Return the name of an object that holds these bytes."""
        return cls(hashlib.sha1(compressed, usedforsecurity=False).digest(), suffix)

    @classmethod
    def parse(cls, text: str, suffix: Suffix = Suffix.FILE) -> Self:
        """Read a digest in lower-case hex, without a suffix.

        Raises:
            RepositoryError: it is none.
        """
        if _HEX.fullmatch(text) is None:
            raise RepositoryError(
                f"expected the name of an object (40 hex digits), got {text[:60]!r}"
            )
        return cls(bytes.fromhex(text), suffix)

    @property
    def hex(self) -> str:
        return self.digest.hex()

    @property
    def path(self) -> str:
        """Where it lies below the repository's URL or folder: ``data/ab/cdef...``."""
        text = self.digest.hex()
        return f"data/{text[:2]}/{text[2:]}{self.suffix}"

    def __str__(self) -> str:
        return self.digest.hex() + self.suffix


def key_of(path: bytes) -> bytes:
    """Return what catalogues know a path by: its MD5, 16 bytes.

    The path is absolute, without a slash at its end; the root is empty.
    """
    return hashlib.md5(path, usedforsecurity=False).digest()


def numbers_of(key: bytes) -> tuple[int, int]:
    """Return a key as catalogues store it: two little-endian signed numbers."""
    first, second = _NUMBERS.unpack(key)
    return first, second


NO_PARENT = bytes(16)
"""The key of what the root lies in."""


def parent_of(path: bytes) -> bytes:
    """Return the folder that a path lies in; the root is the empty path."""
    return path.rpartition(b"/")[0]


def name_of(path: bytes) -> bytes:
    """Return the last part of a path."""
    return path.rpartition(b"/")[2]


def is_below(path: bytes, folder: bytes) -> bool:
    """Whether a path lies in a folder at any depth, or is the folder itself."""
    return path.startswith(folder) and path[len(folder) : len(folder) + 1] in b"/"
