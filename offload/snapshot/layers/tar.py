"""The records of a tar archive: POSIX ustar with pax extensions, made and read.

IEEE Std 1003.1-2017, ``pax``, "ustar Interchange Format" and "pax Extended Header".
What is made depends on nothing but its arguments: no times, no owners. Paths are raw
bytes; where they are no UTF-8, ``hdrcharset=BINARY`` says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from offload.snapshot.errors import UnsafeLayerError
from offload.snapshot.layers.headers import BLOCK, Type, read_header, shown
from offload.snapshot.tree import Kind

END = bytes(2 * BLOCK)
"""Closes an archive."""

_TYPES = {Kind.FILE: b"0", Kind.FOLDER: b"5", Kind.LINK: b"2"}
_KINDS = {Type.FILE: Kind.FILE, Type.FOLDER: Kind.FOLDER, Type.LINK: Kind.LINK}
_LARGEST = 0o77777777777
"""Bytes of a file whose size fits the header (8 GiB - 1)."""

# uid, gid: root's, as who unpacks owns; mtime: the epoch.
_BEFORE_SIZE = b"0000000\0" + b"0000000\0"
_MTIME = b"00000000000\0"
_MAGIC = b"ustar\00000"


@dataclass(frozen=True, slots=True)
class Member:
    """One member of an archive; its content follows."""

    path: bytes
    """As it stands there, without the slash at the end of a folder's."""
    kind: Kind
    mode: int
    size: int
    target: bytes


def padding(size: int) -> bytes:
    """Return what follows a content of that size, up to the next block."""
    return bytes(-size % BLOCK)


def header(
    path: bytes, kind: Kind, mode: int, size: int = 0, target: bytes = b""
) -> bytes:
    """Return the blocks that come before a member's content."""
    if kind is Kind.FOLDER:
        path += b"/"
    if len(path) <= 100 and len(target) <= 100 and size <= _LARGEST:
        return _block(path, _TYPES[kind], mode, size, target)
    records = []
    if len(path) > 100:
        records.append((b"path", path))
    if len(target) > 100:
        records.append((b"linkpath", target))
    if size > _LARGEST:
        records.append((b"size", b"%d" % size))
    if not (_is_utf8(path) and _is_utf8(target)):
        records.insert(0, (b"hdrcharset", b"BINARY"))
    extension = b"".join(_record(key, value) for key, value in records)
    return b"".join(
        (
            _block(b"pax_header", b"x", 0o644, len(extension), b""),
            extension,
            padding(len(extension)),
            _block(path[:100], _TYPES[kind], mode, min(size, _LARGEST), target[:100]),
        )
    )


def _block(path: bytes, kind: bytes, mode: int, size: int, target: bytes) -> bytes:
    block = b"%b%07o\0%b%011o\0%b        %b%b%b" % (
        path.ljust(100, b"\0"),
        mode,
        _BEFORE_SIZE,
        size,
        _MTIME,
        kind,
        target.ljust(100, b"\0"),
        _MAGIC,
    )
    block = block.ljust(BLOCK, b"\0")
    return b"%b%06o\0 %b" % (block[:148], sum(block), block[156:])


def _record(key: bytes, value: bytes) -> bytes:
    """Return a pax record; its length counts the digits of the length itself."""
    rest = b" %b=%b\n" % (key, value)
    length = len(rest)
    while True:
        record = b"%d%b" % (length, rest)
        if len(record) == length:
            return record
        length = len(record)


def _is_utf8(path: bytes) -> bool:
    try:
        path.decode()
    except UnicodeDecodeError:
        return False
    return True


def read_member(read: Callable[[int], bytes]) -> Member | None:
    """Read up to the next member's content; None at the end of the archive.

    Args:
        read: returns exactly so many bytes, or raises DamagedError.

    Raises:
        DamagedError: it is no archive.
        UnsafeLayerError: the member is neither file, folder nor symbolic link.
    """
    found = read_header(read)
    if found is None:
        return None
    if found.type is Type.HARD_LINK:
        raise UnsafeLayerError(
            f"{shown(found.path)}: expected a file, a folder or a symbolic link, got a "
            "hard link"
        )
    return Member(
        found.path.rstrip(b"/"),
        _KINDS[found.type],
        found.mode,
        found.size,
        found.target,
    )
