"""Reads tar archives of any maker, header by header.

IEEE Std 1003.1-2017, ``pax``, "ustar Interchange Format" and "pax Extended Header"; long
names of GNU tar (tar manual, "Basic Tar Format"). Not :mod:`tarfile`: an image has tens
of thousands of members, and that spends ten times as long on each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from offload.snapshot.errors import DamagedError, UnsafeLayerError

BLOCK = 512
_ZEROS = bytes(BLOCK)
_LATEST = (1 << 31) - 1
_MAX_RECORDS = 1 << 20
"""Bytes of extended header of one member; a path has at most 4096."""


class Type(Enum):
    """What a member is."""

    FILE = "file"
    FOLDER = "folder"
    LINK = "symbolic link"
    HARD_LINK = "hard link"


_TYPES = {
    b"0": Type.FILE,
    b"\0": Type.FILE,
    b"7": Type.FILE,
    b"1": Type.HARD_LINK,
    b"2": Type.LINK,
    b"5": Type.FOLDER,
}
_REFUSED = {
    b"3": "a character device",
    b"4": "a block device",
    b"6": "a pipe",
    b"S": "a sparse file in GNU's form",
}


@dataclass(frozen=True, slots=True)
class Header:
    """One member as the archive describes it; its content follows."""

    path: bytes
    """As it stands there."""
    type: Type
    mode: int
    """Permission bits, with set-id and sticky ones."""
    size: int
    """Bytes of content that follow, without the padding."""
    mtime: int
    """Seconds since the epoch; the nearest that every file system has."""
    target: bytes
    """Of a link: any text of a symbolic one, a path of the archive for a hard one."""


def read_header(read: Callable[[int], bytes]) -> Header | None:
    """Read up to the next member's content; None at the end of the archive.

    Args:
        read: returns so many bytes; fewer only where the archive ends.

    Raises:
        DamagedError: it is no tar archive, or a damaged one.
        UnsafeLayerError: the member is neither file, folder nor link.
    """
    records: dict[bytes, bytes] = {}
    extended = 0
    while True:
        block = read(BLOCK)
        if block in {b"", _ZEROS}:
            return None
        if len(block) < BLOCK:
            raise DamagedError("the archive ends in the middle")
        kind, size = block[156:157], _size(block[124:136])
        if sum(block[:148]) + sum(block[156:]) + 8 * 32 != _number(block[148:156]):
            raise DamagedError("no tar archive: a checksum is wrong")
        if kind not in b"xgLK":
            return _header(block, kind, size, records)
        extended += size
        if extended > _MAX_RECORDS:
            raise DamagedError(f"the archive has {extended:,} bytes of extended header")
        extension = read(size + -size % BLOCK)[:size]
        if len(extension) < size:
            raise DamagedError("the archive ends in the middle")
        if kind == b"x":
            records.update(_records(extension))
        elif kind != b"g":  # a global one says nothing of members: a comment
            name = b"path" if kind == b"L" else b"linkpath"
            records[name] = extension.partition(b"\0")[0]


def _header(
    block: bytes, kind: bytes, size: int, records: dict[bytes, bytes]
) -> Header:
    name = block[:100].partition(b"\0")[0]
    prefix = block[345:500].partition(b"\0")[0] if block[257:263] == b"ustar\0" else b""
    path = records.get(b"path", prefix + b"/" + name if prefix else name)
    if kind not in _TYPES:
        got = _REFUSED.get(kind, f"a member of type {kind!r}")
        raise UnsafeLayerError(
            f"{shown(path)}: expected a file, a folder or a link, got {got}"
        )
    if any(key.startswith(b"GNU.sparse.") for key in records):
        raise UnsafeLayerError(
            f"{shown(path)}: expected a whole file, got {_REFUSED[b'S']}"
        )
    type_ = _TYPES[kind]
    if type_ is Type.FILE and path.endswith(b"/"):  # of the time before ustar
        type_ = Type.FOLDER
    if b"size" in records:
        size = _decimal(records[b"size"])
    told = records.get(b"mtime", b"").partition(b".")[0]
    mtime = _decimal(told) if told.isdigit() else _number(block[136:148])
    return Header(
        path,
        type_,
        _number(block[100:108]) & 0o7777,
        size if type_ is Type.FILE else 0,
        min(max(0, mtime), _LATEST),
        records.get(b"linkpath", block[157:257].partition(b"\0")[0]),
    )


def shown(path: bytes) -> str:
    """Write a path of somebody else so that it is one printable line."""
    text = ascii(path[:200].decode(errors="surrogateescape"))
    return text if len(path) <= 200 else f"{text}... ({len(path):,} bytes)"


def _records(extension: bytes) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    while extension:
        digits = extension.partition(b" ")[0]
        length = _decimal(digits)
        record, extension = extension[:length], extension[length:]
        key, equals, value = record[len(digits) + 1 :].partition(b"=")
        if not equals or not value.endswith(b"\n"):
            raise DamagedError("the archive has an extended header that is none")
        found[key] = value[:-1]
    return found


def _decimal(digits: bytes) -> int:
    if not digits.isdigit() or len(digits) > 20:
        raise DamagedError(f"the archive has {digits[:30]!r} in place of a number")
    return int(digits)


def _size(field: bytes) -> int:
    size = _number(field)
    if size < 0:
        raise DamagedError(f"the archive has a member of {size:,} bytes")
    return size


def _number(field: bytes) -> int:
    if field[0] & 0x80:  # GNU's form of what does not fit: base 256
        number = int.from_bytes(field, "big") & ~(0x80 << (8 * (len(field) - 1)))
        is_negative = field[0] & 0x40
        return number - (0x80 << (8 * (len(field) - 1))) if is_negative else number
    try:
        return int(field.strip(b" \0") or b"0", 8)
    except ValueError:
        raise DamagedError(
            "no tar archive: a header has no number where one must be"
        ) from None
