"""Looks at what is there, without reading files."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from offload.snapshot.files.fingerprint import Fingerprint
from offload.snapshot.files.reading import show, unreadable
from offload.snapshot.tree import PERMISSIONS, Entry, Kind

WHITEOUT = b".wh."
"""Prefix of names that mean a deletion in an OCI layer."""


_KINDS = {stat.S_IFREG: Kind.FILE, stat.S_IFDIR: Kind.FOLDER, stat.S_IFLNK: Kind.LINK}
_TYPE = 0o170000
"""Bits of a mode that say what a path is (inode(7))."""
_lstat = os.lstat


class Found(NamedTuple):
    """One path, as it was a moment ago."""

    path: bytes
    kind: Kind
    fingerprint: Fingerprint
    target: bytes = b""

    @property
    def size(self) -> int:
        """Bytes of a file; 0 otherwise."""
        return self.fingerprint.size if self.kind is Kind.FILE else 0

    def entry(self, sha256: str = "") -> Entry:
        """Return the manifest's entry; of a file, its content must be known."""
        path, kind, fingerprint, target = self
        if kind is Kind.FILE:
            return Entry(path, kind, fingerprint.mode, fingerprint.size, sha256)
        mode = PERMISSIONS if kind is Kind.LINK else fingerprint.mode
        return Entry(path, kind, mode, target=target)


@dataclass(frozen=True, slots=True)
class Survey:
    """What a tree is made of: paths sorted, folders before what is in them."""

    found: tuple[Found, ...]
    warnings: tuple[str, ...]
    """What was left out, and links that lead out of the tree; one line each."""


def survey(root: bytes, paths: Iterable[bytes]) -> Survey:
    """Look at paths below a root, and at the folders they are in.

    Paths that are gone are left out without a word: they might as well have gone
    before. Sockets, pipes and devices are left out and reported.

    Raises:
        UnreadableError: one cannot be looked at.
    """
    found: list[Found] = []
    warnings: list[str] = []
    start = root + b"/"
    for path in _with_parents(paths):
        if WHITEOUT in path and path.rpartition(b"/")[2].startswith(WHITEOUT):
            warnings.append(
                f"{show(path)}: left out: names with .wh. in front mean deletions"
            )
            continue
        one = look(start, path)
        if isinstance(one, Found):
            found.append(one)
            if one.target and leads_out(path, one.target):
                warnings.append(
                    f"{show(path)}: a link that leads out of the tree: "
                    f"{show(one.target)}"
                )
        elif one is not None:
            warnings.append(f"{show(path)}: left out: {one}")
    return Survey(tuple(found), tuple(warnings))


def look(start: bytes, path: bytes) -> Found | str | None:
    """Look at one path; None if it is gone, words for what does not travel.

    Args:
        start: folder that the path is relative to, with a slash at its end.
        path: what to look at.

    Raises:
        UnreadableError: it cannot be looked at.
    """
    full = start + path
    target = b""
    try:
        status = _lstat(full)
        kind = _KINDS.get(status.st_mode & _TYPE)
        if kind is Kind.LINK:
            target = os.readlink(full)  # noqa: PTH115  bytes
        elif kind is None:
            return "a socket, pipe or device"
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise unreadable(full, error) from None
    # Half the time of the constructor, and this is done for every file there is.
    return tuple.__new__(Found, (path, kind, Fingerprint.of(status), target))


def everything(root: bytes) -> Iterator[bytes]:
    """Yield every path below a root.

    Raises:
        UnreadableError: a folder cannot be listed.
    """
    pending = [b""]
    while pending:
        folder = pending.pop()
        start = folder + b"/" if folder else b""
        try:
            with os.scandir(root + b"/" + folder) as entries:
                for entry in entries:
                    yield start + entry.name
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(start + entry.name)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise unreadable(root + b"/" + folder, error) from None


def leads_out(path: bytes, target: bytes) -> bool:
    """Whether a link at a path of a tree points out of the tree."""
    if target.startswith(b"/"):
        return True
    depth = path.count(b"/")
    for name in target.split(b"/"):
        if name == b"..":
            depth -= 1
        elif name not in (b"", b"."):
            depth += 1
        if depth < 0:
            return True
    return False


def _with_parents(paths: Iterable[bytes]) -> list[bytes]:
    known = dict.fromkeys(paths)
    last = b""
    for path in tuple(known):
        parent = path.rpartition(b"/")[0]
        if parent == last:
            continue
        last = parent
        while parent and parent not in known:
            known[parent] = None
            parent = parent.rpartition(b"/")[0]
    return sorted(known)  # most come in this order: that is no work
