"""Byte code that belongs to an environment's sources: it travels, and is no identity.

Without it every job would compile every module that it imports, for the trees are
read-only. It tells the time at which its source was installed, so equal environments
have different byte code: it is a part beside the one it belongs to, outside the
snapshot's identity, and loses the time on its way. What travels is marked as not to be
checked against the source, so only what is right *now* is taken along.

Source of the format: PEP 552 (magic number, flags, then time and size of the source, or
a hash of it; PEP 3147 for the names).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator

ROLE = "bytecode"
"""``bytecode/env`` belongs to the part ``env``, and lies over it."""
LARGEST = 4 << 20
"""Bytes; larger byte code stays at home."""

_HEADER = struct.Struct("<4sIII")
_UNCHECKED = 0b01
"""Flags of byte code that is known by a hash, and believed without one."""


def belonging_to(role: str) -> str:
    """Return the role of the part that holds a part's byte code."""
    return f"{ROLE}/{role}"


def is_bytecode(role: str) -> bool:
    """Whether a part is laid over another instead of being mounted."""
    return role.startswith(f"{ROLE}/")


def cache_tag(version: str) -> bytes:
    """Return what CPython of a version puts into the names of byte code."""
    major, minor, *_ = version.split(".")
    return f"cpython-{major}{minor}".encode()


def current(root: bytes, sources: Iterable[bytes], tag: bytes) -> Iterator[bytes]:
    """Yield the paths of byte code that Python would believe.

    Args:
        root: the folder that paths are relative to.
        sources: of modules and of anything else, which has none.
        tag: see :func:`cache_tag`.
    """
    for source in sources:
        folder, slash, name = source.rpartition(b"/")
        # A finder of editable installs names paths that some sites must rewrite.
        if name.endswith(b".py") and not name.startswith(b"__editable__"):
            path = b"%b%b__pycache__/%b.%b.pyc" % (folder, slash, name[:-3], tag)
            if _is_of(root + b"/" + path, root + b"/" + source):
                yield path


def unchecked(content: bytes) -> bytes:
    """Return byte code that is believed whatever the time of its source is."""
    magic, flags, _, _ = _HEADER.unpack_from(content)
    if flags:  # of a hash already
        return content
    return _HEADER.pack(magic, _UNCHECKED, 0, 0) + content[_HEADER.size :]


def _is_of(path: bytes, source: bytes) -> bool:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        header = os.read(handle, _HEADER.size)
        found = os.lstat(source)
    except OSError:
        return False
    finally:
        os.close(handle)
    if len(header) < _HEADER.size:
        return False
    flags: int
    _, flags, mtime, size = _HEADER.unpack(header)
    if flags:  # Python reads the source to check it, or is told not to: as it is there
        return flags == _UNCHECKED
    expected = int(found.st_mtime) & 0xFFFFFFFF, found.st_size & 0xFFFFFFFF
    return (mtime, size) == expected
