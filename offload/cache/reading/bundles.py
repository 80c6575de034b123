"""Bundles: what a start reads of an image, in few files that are fetched at once.

A cold ``import`` opens hundreds of small files one after the other, and each costs a
round trip. The bundle of the image ``.flat/../HEX`` is the folder ``.bundles/HEX``. Its
parts ``0``, ``1``, ... each hold contents of objects, one behind the other in one zstd
frame (RFC 8878). A large object is a part by itself, ``N.raw``: a file like the one that
it is of, so that neither repository nor site hold it twice. The file ``index`` says
which part holds what::

    offload bundle 2 LF
    per part: number of objects (4 bytes), then of each
              SHA-1 (20), suffix (1, "-" for none), bytes of content (4); big-endian

All are files of the repository, so its chain of signatures covers them on the wire, and
at a site the store verifies the bytes of each. They are made of objects that were
verified by their names. Which objects share a part depends on folders and names of
objects only, so that environments which share packages share parts.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from offload import zstd
from offload.cache.cvmfs.errors import DamagedObjectError
from offload.cache.cvmfs.names import ObjectName, Suffix

if TYPE_CHECKING:
    from offload.cache.cvmfs.items import Item

INDEX = b"index"
"""Name of the file that says what the parts hold."""
LEAST_PART = 2 << 20
"""Bytes of content; with fewer a part ends only before a large folder."""
LARGE = 256 << 10
"""Bytes of content from which on an object is a part by itself."""
RAW = b".raw"
"""Ends the name of such a part."""
LARGEST_PART = 8 << 20
"""Bytes of content; no object of ours has more than half of it."""

_MAGIC = b"offload bundle 2\n"
_COUNT = struct.Struct(">I")
_ENTRY = struct.Struct(">20scI")
_NONE = b"-"
_LEVEL = 9
"""5 % smaller than zstd's default of 3, in five times the time; read as fast."""
_ENDS_OFTEN = 4
"""One of so many objects ends a part that is large enough."""


class Use(NamedTuple):
    """An object that was read, and how the file that it is of appears."""

    name: ObjectName
    mode: int
    mtime: int
    """Unix time, seconds."""


class Piece(NamedTuple):
    """An object that goes into a bundle."""

    name: ObjectName
    folder: bytes
    """Of a file that it is of, in the image."""
    size: int
    """Bytes of content."""
    mode: int = 0o644
    mtime: int = 0
    """Of that file, Unix time, seconds."""

    @property
    def is_raw(self) -> bool:
        """Whether it is a part by itself. One in chunks is no object of a file's own."""
        return self.size >= LARGE and self.name.suffix is Suffix.FILE


class Place(NamedTuple):
    """Where in a bundle an object's content is."""

    part: int
    start: int
    size: int


def path_of(image: str) -> bytes:
    """Return where the bundle of an image lies in a repository."""
    return b"/.bundles/" + image.removeprefix("sha256:").encode()


def cut(pieces: Iterable[Piece]) -> Iterator[list[Piece]]:
    """Yield the parts of a bundle: folder by folder, in the order of their first use.

    A large folder begins a part and is cut where names of objects say so; small ones
    share parts. So a change in one folder changes the parts with that folder only, or
    those up to the next large one.
    """
    folders: dict[bytes, list[Piece]] = {}
    for piece in pieces:
        if piece.is_raw:
            yield [piece]
            continue
        folders.setdefault(piece.folder, []).append(piece)
    part: list[Piece] = []
    size = 0
    for folder in folders.values():
        is_large = sum(piece.size for piece in folder) >= LEAST_PART
        for number, piece in enumerate(folder):
            is_marked = is_large and piece.name.digest[0] % _ENDS_OFTEN == 0
            ends = size >= LEAST_PART and (number == 0 or is_marked)
            begins = is_large and number == 0
            if part and (ends or begins or size + piece.size > LARGEST_PART):
                yield part
                part, size = [], 0
            part.append(piece)
            size += piece.size
    if part:
        yield part


def items(
    pieces: Iterable[Piece], read: Callable[[ObjectName], bytes]
) -> Iterator[Item]:
    """Yield a bundle as the tree that a publisher puts at :func:`path_of`.

    Args:
        pieces: the objects, the one needed first in front; each named once.
        read: returns an object's content, verified.
    """
    from offload.cache.cvmfs.items import Item  # late: who reads makes none
    from offload.snapshot.tree import Kind

    def file(name: bytes, data: bytes, mode: int = 0o644, mtime: int = 0) -> Item:
        return Item(name, Kind.FILE, mode, len(data), mtime, content=data)

    index = [_MAGIC]
    for number, part in enumerate(cut(pieces)):
        contents = [read(piece.name) for piece in part]
        index.append(_COUNT.pack(len(part)))
        for piece, content in zip(part, contents, strict=True):
            suffix = piece.name.suffix.encode() or _NONE
            index.append(_ENTRY.pack(piece.name.digest, suffix, len(content)))
        name = b"%d" % number
        if part[0].is_raw:
            yield file(name + RAW, contents[0], part[0].mode, part[0].mtime)
        else:
            yield file(name, zstd.compress(b"".join(contents), _LEVEL))
    yield file(INDEX, b"".join(index))


def places(index: bytes) -> dict[ObjectName, Place]:
    """Return where the objects of a bundle are.

    Raises:
        DamagedObjectError: it is no index, or is cut.
    """
    if not index.startswith(_MAGIC):
        raise DamagedObjectError("a bundle: expected its first line, got another file")
    found: dict[ObjectName, Place] = {}
    at = len(_MAGIC)
    part = 0
    try:
        while at < len(index):
            (count,) = _COUNT.unpack_from(index, at)
            at += _COUNT.size
            start = 0
            for _ in range(count):
                digest, mark, size = _ENTRY.unpack_from(index, at)
                at += _ENTRY.size
                suffix = Suffix("" if mark == _NONE else mark.decode("ascii"))
                found[ObjectName(digest, suffix)] = Place(part, start, size)
                start += size
            part += 1
    except (struct.error, ValueError):
        raise DamagedObjectError(f"a bundle: broken at byte {at:,}") from None
    return found


def unpack(part: bytes) -> bytes:
    """Return the contents in a part, one behind the other.

    Raises:
        DamagedObjectError: it is none, or is cut.
    """
    stream = zstd.ZstdDecompressor()
    try:
        data = stream.decompress(part, LARGEST_PART + 1)
    except zstd.ZstdError as error:
        raise DamagedObjectError(f"a part of a bundle: {error}") from None
    if not stream.eof or stream.unused_data or len(data) > LARGEST_PART:
        raise DamagedObjectError("a part of a bundle: does not end where it should")
    return data
