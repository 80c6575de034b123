"""Compares what files hold with what a public index says they do. No I/O."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import replace

from offload.snapshot.model import Layer
from offload.snapshot.tree import Entry, Kind

_NO_FILE = "0" * 64
_READ, _ENTER = 0o444, 0o555


def differing(
    contents: Mapping[bytes, str], published: Mapping[bytes, str]
) -> set[bytes]:
    """Return the paths that do not hold what was published, or were not published.

    Args:
        contents: SHA-256 in hex by path; empty of what is no file.
        published: see :class:`offload.snapshot.cuts.Group`.
    """
    listed = [path for path in contents if path in published]
    # All at once, for there are tens of thousands, and hardly ever one that differs. A
    # byte of zeros after each digest makes its base64 end where a letter does.
    digests = "".join(f"{contents[path] or _NO_FILE}00" for path in listed)
    found = base64.urlsafe_b64encode(bytes.fromhex(digests)).decode()
    others = contents.keys() - published.keys()
    if found == "".join([f"{published[path]}A" for path in listed]):
        return others
    return others | {
        path
        for number, path in enumerate(listed)
        if found[44 * number : 44 * number + 43] != published[path]
    }


def is_open(kind: Kind, mode: int) -> bool:
    """Whether everybody here may read a path, or enter it: else it is private."""
    wanted = _ENTER if kind is Kind.FOLDER else _READ
    return mode & wanted == wanted


def contents_of(entries: Iterable[Entry]) -> dict[bytes, str]:
    """Return what entries hold, for :func:`differing`.

    Folders hold nothing, and what not everybody may read, nothing that was published.
    """
    return {
        each.path: each.sha256 if is_open(each.kind, each.mode) else ""
        for each in entries
        if each.kind is not Kind.FOLDER or not is_open(each.kind, each.mode)
    }


def judged(
    layer: Layer, entries: Iterable[Entry], published: Mapping[bytes, str]
) -> Layer:
    """Return a layer that knows whether it is public: all of it, or none."""
    is_public = bool(published) and not differing(contents_of(entries), published)
    return replace(layer, is_public=is_public)
