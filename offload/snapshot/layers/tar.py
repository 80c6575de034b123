"""The records of a tar archive: POSIX ustar with pax extensions, made and read.

IEEE Std 1003.1-2017, ``pax``, "ustar Interchange Format" and "pax Extended Header".
What is made depends on nothing but its arguments: no times, no owners. Paths are raw
bytes; where they are no UTF-8, ``hdrcharset=BINARY`` says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from offload.snapshot.errors import DamagedError, UnsafeLayerError
from offload.snapshot.tree import Kind

BLOCK = 512
END = bytes(2 * BLOCK)
"""Closes an archive."""

_TYPES = {Kind.FILE: b"0", Kind.FOLDER: b"5", Kind.LINK: b"2"}
_KINDS = {b"0": Kind.FILE, b"\0": Kind.FILE, b"5": Kind.FOLDER, b"2": Kind.LINK}
_REFUSED = {b"1": "a hard link", b"3": "a device", b"4": "a device", b"6": "a pipe"}
_LARGEST = 0o77777777777
"""Bytes of a file whose size fits the header (8 GiB - 1)."""
_MAX_RECORDS = 1 << 20
"""Bytes of extended header that are read; a path has at most 4096."""

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
        DamagedError: it is no archive of this form.
        UnsafeLayerError: the member is neither file, folder nor symbolic link.
    """
    records: dict[bytes, bytes] = {}
    while True:
        block = read(BLOCK)
        if block == END[:BLOCK]:
            return None
        kind, size = block[156:157], _size(block[124:136])
        if sum(block[:148]) + sum(block[156:]) + 8 * 32 != _number(block[148:156]):
            raise DamagedError("a layer is no tar archive: a checksum is wrong")
        if kind not in b"xg":
            return _member(block, kind, size, records)
        if size > _MAX_RECORDS:
            raise DamagedError(f"a layer has {size:,} bytes of extended header")
        extension = read(size + -size % BLOCK)[:size]
        if kind == b"x":
            records.update(_records(extension))


def _member(
    block: bytes, kind: bytes, size: int, records: dict[bytes, bytes]
) -> Member:
    prefix = block[345:500].partition(b"\0")[0] if block[257:263] == b"ustar\0" else b""
    name = block[:100].partition(b"\0")[0]
    path = records.get(b"path", prefix + b"/" + name if prefix else name)
    if kind not in _KINDS:
        what = _REFUSED.get(kind, f"a member of type {kind!r}")
        raise UnsafeLayerError(
            f"{path!r}: expected a file, a folder or a symbolic link, got {what}"
        )
    if b"size" in records:
        size = _decimal(records[b"size"])
    return Member(
        path.rstrip(b"/"),
        _KINDS[kind],
        _number(block[100:108]),
        size if _KINDS[kind] is Kind.FILE else 0,
        records.get(b"linkpath", block[157:257].partition(b"\0")[0]),
    )


def _records(extension: bytes) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    while extension:
        digits = extension.partition(b" ")[0]
        length = _decimal(digits)
        record, extension = extension[:length], extension[length:]
        key, equals, value = record[len(digits) + 1 :].partition(b"=")
        if not equals or not value.endswith(b"\n"):
            raise DamagedError("a layer has an extended header that cannot be read")
        found[key] = value[:-1]
    return found


def _decimal(digits: bytes) -> int:
    if not digits.isdigit() or len(digits) > 20:
        raise DamagedError(f"a layer has {digits[:30]!r} where a number should be")
    return int(digits)


def _size(field: bytes) -> int:
    size = _number(field)
    if size < 0:
        raise DamagedError(f"a layer has a member of {size:,} bytes")
    return size


def _number(field: bytes) -> int:
    if field[0] & 0x80:  # GNU's form of what does not fit: base 256
        return int.from_bytes(field, "big") & ~(0x80 << (8 * (len(field) - 1)))
    try:
        return int(field.strip(b" \0") or b"0", 8)
    except ValueError:
        raise DamagedError(f"a layer has {field!r} where a number should be") from None
