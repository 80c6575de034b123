"""Looks at what is there, without reading files."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from offload.snapshot.scan.reading import State, show, unreadable
from offload.snapshot.tree import PERMISSIONS, Entry, Kind

WHITEOUT = b".wh."
"""Prefix of names that mean a deletion in an OCI layer."""


class Found(NamedTuple):
    """One path, as it was a moment ago."""

    path: bytes
    kind: Kind
    mode: int
    state: State
    target: bytes = b""

    @property
    def size(self) -> int:
        """Bytes of a file; 0 otherwise."""
        return self.state.size if self.kind is Kind.FILE else 0

    def entry(self, sha256: str = "") -> Entry:
        """Return the manifest's entry; of a file, its content must be known."""
        mode = PERMISSIONS if self.kind is Kind.LINK else self.mode
        return Entry(self.path, self.kind, mode, self.size, sha256, self.target)


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
    for path in sorted(_with_parents(paths)):
        name = path.rpartition(b"/")[2]
        if name.startswith(WHITEOUT):
            warnings.append(
                f"{show(path)}: left out: names with .wh. in front mean deletions"
            )
            continue
        one = look(root, path)
        if one is None:
            continue
        if isinstance(one, str):
            warnings.append(f"{show(path)}: left out: {one}")
            continue
        if one.kind is Kind.LINK and leads_out(one.path, one.target):
            warnings.append(
                f"{show(path)}: a link that leads out of the tree: {show(one.target)}"
            )
        found.append(one)
    return Survey(tuple(found), tuple(warnings))


def look(root: bytes, path: bytes) -> Found | str | None:
    """Look at one path; None if it is gone, words for what does not travel.

    Raises:
        UnreadableError: it cannot be looked at.
    """
    full = root + b"/" + path
    try:
        status = os.lstat(full)
        mode = status.st_mode
        if stat.S_ISREG(mode):
            kind, target = Kind.FILE, b""
        elif stat.S_ISDIR(mode):
            kind, target = Kind.FOLDER, b""
        elif stat.S_ISLNK(mode):
            kind, target = Kind.LINK, os.readlink(full)  # noqa: PTH115  bytes
        else:
            return "a socket, pipe or device"
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise unreadable(full, error) from None
    return Found(path, kind, mode & PERMISSIONS, State.of(status), target)


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


def _with_parents(paths: Iterable[bytes]) -> set[bytes]:
    known: set[bytes] = set()
    for path in paths:
        known.add(path)
        parent = path.rpartition(b"/")[0]
        while parent and parent not in known:
            known.add(parent)
            parent = parent.rpartition(b"/")[0]
    return known
