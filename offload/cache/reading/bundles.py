"""Bundles: the objects that a start needs, in one file that is fetched in one go.

A cold ``import`` opens hundreds of small files one after the other, and each costs a
round trip. A bundle holds their objects as they travel::

    offload bundle 1 LF
    per object: SHA-1 (20 bytes), suffix (1, "-" for none), mode (2), time (8, signed),
                length (4), all big-endian; then its compressed bytes

It is a file of the repository, ``.bundles/HEX`` for the image ``.flat/../HEX``, so the
repository's own chain of signatures covers it; and each object in it must be what its
name says, as if it had come alone. Mode and time are how the file appears that the
object is the content of: hints for who stores it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from offload.cache.cvmfs.errors import DamagedObjectError
from offload.cache.cvmfs.names import ObjectName, Suffix

if TYPE_CHECKING:
    from offload.cache.cvmfs.items import Item

_MAGIC = b"offload bundle 1\n"
_HEAD = struct.Struct(">20scHqI")
_NONE = b"-"
_MODE = 0o777


class Use(NamedTuple):
    """An object that was read, and how the file that it is of appears."""

    name: ObjectName
    mode: int
    mtime: int
    """Unix time, seconds."""


def path_of(image: str) -> bytes:
    """Return where the bundle of an image lies in a repository."""
    return b"/.bundles/" + image.removeprefix("sha256:").encode()


def pack(uses: Iterable[Use], read: Callable[[ObjectName], bytes]) -> Iterator[bytes]:
    """Yield a bundle piece by piece.

    Args:
        uses: the objects, the one needed first in front; each should be named once.
        read: returns an object's compressed bytes.
    """
    yield _MAGIC
    for name, mode, mtime in uses:
        data = read(name)
        suffix = name.suffix.encode() or _NONE
        yield _HEAD.pack(name.digest, suffix, mode & _MODE, mtime, len(data)) + data


def item(image: str, uses: Iterable[Use], read: Callable[[ObjectName], bytes]) -> Item:
    """Return a bundle as what a publisher puts at ``/.bundles``; see :func:`pack`."""
    from offload.cache.cvmfs.items import Item  # late: who reads makes none
    from offload.snapshot.tree import Kind

    data = b"".join(pack(uses, read))
    name = path_of(image).rpartition(b"/")[2]
    return Item(name, Kind.FILE, 0o644, len(data), content=data)


def unpack(data: bytes) -> Iterator[tuple[Use, memoryview]]:
    """Yield the objects of a bundle with their compressed bytes; not verified.

    Raises:
        DamagedObjectError: it is no bundle, or is cut.
    """
    view = memoryview(data)
    for use, start, size in places(data):
        yield use, view[start : start + size]


def places(data: bytes) -> Iterator[tuple[Use, int, int]]:
    """Yield the objects of a bundle: where their bytes begin, and how many they are.

    Raises:
        DamagedObjectError: it is no bundle, or is cut.
    """
    if not data.startswith(_MAGIC):
        raise DamagedObjectError("a bundle: expected its first line, got another file")
    start = len(_MAGIC)
    while start < len(data):
        try:
            digest, mark, mode, mtime, size = _HEAD.unpack_from(data, start)
            suffix = Suffix("" if mark == _NONE else mark.decode("ascii"))
        except (struct.error, ValueError):
            raise DamagedObjectError(f"a bundle: broken at byte {start:,}") from None
        start += _HEAD.size
        if start + size > len(data):
            raise DamagedObjectError(f"a bundle: ends at {len(data):,}, in an object")
        yield Use(ObjectName(digest, suffix), mode & _MODE, mtime), start, size
        start += size
