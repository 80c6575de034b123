"""The tree manifest: what a folder holds, without where, when and whose.

Two folders with the same content have the same digest on every machine. The canonical
form is a sequence of fields, each closed by a NUL byte, which no path can hold::

    analysis-facility tree 1
    d MODE PATH                     folder
    f MODE SIZE SHA256 PATH         file
    l PATH, then the link's target in a field of its own

MODE is the permission bits in octal, SIZE decimal bytes, SHA256 of the content in
lower-case hex; PATH is relative, any bytes but NUL. Entries are sorted by the bytes of
their path, so a folder comes before what lies in it. The digest is the SHA-256 of it all.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple

from offload.snapshot.errors import DamagedError

PERMISSIONS = 0o777
"""Bits of a mode that are part of the identity. Set-id and sticky bits are not: they
are the place's (a shared folder hands its group down), and would not be safe to take."""

_HEADER = b"analysis-facility tree 1"


class Kind(StrEnum):
    """What an entry is. Everything else there may be in a folder does not travel."""

    FILE = "file"
    FOLDER = "folder"
    LINK = "link"


class Entry(NamedTuple):
    """One path of a tree."""

    path: bytes
    """Relative to the root of the tree."""
    kind: Kind
    mode: int
    """Permission bits; 0o777 of a link."""
    size: int = 0
    """Bytes of a file; 0 otherwise."""
    sha256: str = ""
    """Hex digest of a file's content; empty otherwise."""
    target: bytes = b""
    """Of a link; empty otherwise."""


@dataclass(frozen=True)
class Tree:
    """Entries sorted by path: the manifest of one part of a snapshot."""

    entries: tuple[Entry, ...]

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> Tree:
        """Sort entries into a tree."""
        return cls(tuple(sorted(entries)))

    @cached_property
    def canonical(self) -> bytes:
        """The canonical form, as the module describes it."""
        fields = [_HEADER]
        for path, kind, mode, size, sha256, target in self.entries:
            if kind is Kind.FILE:
                fields.append(b"f %o %d %b %b" % (mode, size, sha256.encode(), path))
            elif kind is Kind.FOLDER:
                fields.append(b"d %o %b" % (mode, path))
            else:
                fields.append(b"l %b\0%b" % (path, target))
        fields.append(b"")
        return b"\0".join(fields)

    @cached_property
    def digest(self) -> str:
        """``sha256:`` and the hex digest of the canonical form."""
        return f"sha256:{hashlib.sha256(self.canonical).hexdigest()}"

    @cached_property
    def by_path(self) -> dict[bytes, Entry]:
        """Every entry by its path."""
        return {entry.path: entry for entry in self.entries}

    @property
    def files(self) -> int:
        """Number of files."""
        return sum(entry.kind is Kind.FILE for entry in self.entries)

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(entry.size for entry in self.entries)

    @classmethod
    def parse(cls, canonical: bytes) -> Tree:
        """Read a canonical form.

        Raises:
            DamagedError: it is none.
        """
        fields = iter(canonical.split(b"\0"))
        if next(fields) != _HEADER:
            raise DamagedError("a tree manifest has an unknown beginning")
        try:
            tree = cls(tuple([_parse(field, fields) for field in fields if field]))
        except (ValueError, StopIteration):
            raise DamagedError("a tree manifest cannot be read") from None
        # What was read has its digest, also if it is in another order.
        vars(tree)["canonical"] = canonical
        return tree


_LEADS_OUT = re.compile(rb"(?:\A|/)\.{0,2}(?:/|\Z)", re.DOTALL)
"""What a path has that is empty, or has an empty name, ``.`` or ``..`` in it."""


def _parse(field: bytes, following: Iterator[bytes]) -> Entry:
    kind, _, rest = field.partition(b" ")
    match kind:
        case b"f":
            mode, size, sha256, path = rest.split(b" ", 3)
            _check(path)
            values = (path, Kind.FILE, int(mode, 8), int(size), sha256.decode(), b"")
            # Half the time of the constructor; most entries are files.
            return tuple.__new__(Entry, values)
        case b"d":
            mode, path = rest.split(b" ", 1)
            _check(path)
            return Entry(path, Kind.FOLDER, int(mode, 8))
        case b"l":
            _check(rest)
            return Entry(rest, Kind.LINK, PERMISSIONS, target=next(following))
        case _:
            raise ValueError(kind)


def _check(path: bytes) -> None:
    # Whoever builds the tree joins it to a folder: it must not lead out of that.
    if path and _LEADS_OUT.search(path) is not None:
        raise ValueError(path)
