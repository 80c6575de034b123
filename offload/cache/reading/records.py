"""What a tree must look like, written beside it: checked without asking anybody.

The BLAKE2b (160 bits, hex) of what follows a NUL byte: compressed (RFC 1950), for a site
has many trees that are nearly the same, a sequence of fields, each closed by a NUL byte,
which no path can hold, in the order of the tree::

    d MODE MTIME PATH               folder
    f CONTENT SIZE PATH             file; CONTENT as the store names it
    l PATH, then the link's target in a field of its own
"""
# ruff: noqa: PTH115, PTH118

from __future__ import annotations

import hashlib
import hmac
import os
import stat
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from offload.cache.cvmfs.errors import DamagedObjectError
from offload.cache.reading.store import Content, digest_of

_FAST = 1


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder; path bytes relative to the tree, time in seconds."""

    path: bytes
    mode: int
    mtime: int


@dataclass(frozen=True, slots=True)
class File:
    """A file of so many bytes; its mode is that of the file, not of what is stored."""

    path: bytes
    content: Content
    size: int


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link."""

    path: bytes
    target: bytes


Placed = Folder | File | Link


def write(entries: Iterable[Placed]) -> bytes:
    """Return a record."""
    fields: list[bytes] = []
    for entry in entries:
        match entry:
            case Folder(path, mode, mtime):
                fields.append(b"d %o %d %b" % (mode, mtime, path))
            case File(path, content, size):
                fields.append(b"f %b %d %b" % (str(content).encode(), size, path))
            case Link(path, target):
                fields += [b"l %b" % path, target]
    body = zlib.compress(b"\0".join([*fields, b""]), _FAST)
    return _digest(body) + b"\0" + body


def read(data: bytes) -> list[Placed]:
    """Read a record.

    Raises:
        DamagedObjectError: it is not what was written.
    """
    digest, _, body = data.partition(b"\0")
    if not hmac.compare_digest(digest, _digest(body)):
        raise DamagedObjectError("a tree's record is damaged")
    try:
        fields = zlib.decompress(body).split(b"\0")
    except zlib.error:  # of an earlier version
        raise DamagedObjectError("a tree's record is of another form") from None
    return list(_entries(iter(fields[:-1])))


def _entries(fields: Iterator[bytes]) -> Iterator[Placed]:
    for field in fields:
        kind, _, rest = field.partition(b" ")
        if kind == b"d":
            mode, mtime, path = rest.split(b" ", 2)
            yield Folder(path, int(mode, 8), int(mtime))
        elif kind == b"f":
            content, size, path = rest.split(b" ", 2)
            yield File(path, Content.parse(content.decode()), int(size))
        else:
            yield Link(rest, next(fields))


def differences(
    top: Path, entries: Iterable[Placed], *, reads_all: bool
) -> Iterator[Placed]:
    """Yield what is not as it was put there, folders before what is in them.

    Args:
        top: the tree.
        entries: of its record.
        reads_all: read every byte; else sizes, modes, times and links are looked at.
    """
    base = os.fsencode(top)
    for entry in entries:
        path = os.path.join(base, entry.path) if entry.path else base
        if not _is_as_placed(path, entry, reads_all=reads_all):
            yield entry


def _is_as_placed(path: bytes, entry: Placed, *, reads_all: bool) -> bool:
    try:
        found = os.lstat(path)
        match entry:
            case Folder():
                return (
                    stat.S_ISDIR(found.st_mode)
                    and stat.S_IMODE(found.st_mode) == entry.mode
                    and found.st_mtime_ns == entry.mtime * 1_000_000_000
                )
            case File():
                return entry.content.is_like(found, entry.size) and (
                    not reads_all
                    or not os.access(path, os.R_OK)  # then no job can, either
                    or digest_of(os.fsdecode(path)) == entry.content.digest
                )
            case Link():
                return stat.S_ISLNK(found.st_mode) and os.readlink(path) == entry.target
    except OSError:
        return False


def _digest(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=20).hexdigest().encode()
