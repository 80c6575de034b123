"""Takes one path into a tree as it was at one moment."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from offload.snapshot.files.fingerprint import Fingerprint
from offload.snapshot.files.reading import (
    GoneError,
    OpenFile,
    TornError,
    attempts,
    opened,
)
from offload.snapshot.files.survey import Found, look
from offload.snapshot.tree import Entry, Kind

PIECE = 1 << 20
"""Bytes of a large file that are in memory at once."""


def capture(
    root: bytes, found: Found, read: Callable[[OpenFile], Entry]
) -> tuple[Entry | None, Fingerprint | None]:
    """Return a path's entry, and its fingerprint if that may be remembered.

    No entry if there is nothing of that name any more, or nothing that travels.

    Args:
        root: folder that the path is relative to.
        found: what was there.
        read: makes the entry of a file; called again if the file changes meanwhile.

    Raises:
        UnreadableError: it may not be read.
        ChangingError: it changed each time it was read.
    """
    if found.kind is not Kind.FILE:
        return found.entry(), None
    full = root + b"/" + found.path
    for number in attempts(full):
        if number:
            again = look(root + b"/", found.path)
            if not isinstance(again, Found):
                return None, None
            if again.kind is not Kind.FILE:
                return again.entry(), None
        try:
            with opened(full) as file:
                entry = read(file)
        except (GoneError, TornError):
            continue
        return entry, file.fingerprint if file.is_settled else None
    raise AssertionError  # attempts ends with an error


def hash_file(path: bytes, file: OpenFile) -> Entry:
    """Return a file's entry by reading all of it.

    Raises:
        TornError: it changed meanwhile.
    """
    sha = hashlib.sha256()
    for piece in file.pieces(PIECE):
        sha.update(piece)
    return Entry(path, Kind.FILE, file.mode, file.size, sha.hexdigest())
