"""What is to be published: checked before anything of it is."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from offload.cache.cvmfs.errors import RefusedItemError
from offload.cache.cvmfs.objects import CHUNK_BYTES
from offload.snapshot.tree import PERMISSIONS, Kind

Content = bytes | Path | Callable[[], Iterable[bytes]]
"""Of a file: the bytes, where they lie, or what yields them; read once at most, before
the next item is asked for, and not at all if it is known already."""

_LONGEST_NAME = 255
_LONGEST_PATH = 4096
"""What Linux can open: NAME_MAX, and PATH_MAX with the NUL at the end."""
_DEEPEST = 250
"""Folders in each other; no real tree comes near."""


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of a tree to be published."""

    path: bytes
    """Relative to the tree. Empty: the tree's own folder."""
    kind: Kind
    mode: int
    """Bits beside the permissions are left out: they are not safe to take."""
    size: int = 0
    mtime: int = 0
    """Seconds since the epoch."""
    target: bytes = b""
    """Of a link."""
    content: Content = b""
    sha256: str = ""
    """Hex digest of the content, where it is known: then a content that the repository
    has already is not read."""

    def check(self, below: bytes = b"") -> None:
        """Make sure that it can stand in a repository below a path.

        Raises:
            RefusedItemError: its path escapes, or is too long for Linux to open; it is
                a link that leads elsewhere at each client.
        """
        check_path(self.path, below)
        # CernVM-FS, "Variant Symlinks": clients put values of their own in its place.
        if self.kind is Kind.LINK and b"$(" in self.target:
            raise RefusedItemError(
                f"{_shown(self.path)}: a link to {_shown(self.target)}: clients of "
                "CernVM-FS replace $(NAME) by a variable of their own; expected a "
                "target without $("
            )
        if self.kind is Kind.LINK and (
            not self.target or b"\0" in self.target or len(self.target) >= _LONGEST_PATH
        ):
            raise RefusedItemError(
                f"{_shown(self.path)}: a link to {_shown(self.target)}: expected 1 to "
                f"{_LONGEST_PATH - 1} bytes without NUL"
            )
        if self.size < 0 or not -(1 << 63) <= self.mtime < 1 << 63:
            raise RefusedItemError(
                f"{_shown(self.path)}: {self.size} bytes of {self.mtime}: expected a "
                "size of 0 or more and a time that fits 64 bits"
            )

    @property
    def permissions(self) -> int:
        return 0o777 if self.kind is Kind.LINK else self.mode & PERMISSIONS


def check_path(path: bytes, below: bytes = b"") -> None:
    """Make sure that a path stays in its folder and can be opened.

    Raises:
        RefusedItemError: it does not.
    """
    if not path:
        return
    names = path.split(b"/")
    if not {b"", b".", b".."}.isdisjoint(names):
        raise RefusedItemError(f"{_shown(path)}: expected a path that stays below")
    if b"\0" in path:
        raise RefusedItemError(f"{_shown(path)}: a NUL byte is in its name")
    if len(names) > _DEEPEST:
        raise RefusedItemError(
            f"{_shown(path)}: it lies in more than {_DEEPEST} folders"
        )
    if max(map(len, names)) > _LONGEST_NAME:
        raise RefusedItemError(
            f"{_shown(path)}: a name is longer than {_LONGEST_NAME} bytes"
        )
    if len(below) + 1 + len(path) >= _LONGEST_PATH:
        raise RefusedItemError(
            f"{_shown(path)}: the path is longer than {_LONGEST_PATH - 1} bytes"
        )


def _shown(path: bytes) -> str:
    text = os.fsdecode(path)
    return repr(text if len(text) <= 120 else f"{text[:117]}...")


def pieces(content: Content) -> Iterator[bytes]:
    """Yield a content in pieces of exactly a chunk's size, the last one smaller.

    An empty content is one empty piece.

    Raises:
        OSError: it cannot be read.
    """
    if isinstance(content, bytes):
        yield from _cut([content])
    elif isinstance(content, Path):
        yield from _read_pieces(content)
    else:
        yield from _cut(content())


def _read_pieces(path: Path) -> Iterator[bytes]:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        # One byte more than there is tells its end, without a buffer of a chunk's size.
        left = os.fstat(handle).st_size + 1
        while piece := os.read(handle, min(left, CHUNK_BYTES)):
            left = max(left - len(piece), 1)
            yield piece
    finally:
        os.close(handle)


def _cut(parts: Iterable[bytes]) -> Iterator[bytes]:
    held: list[bytes] = []
    size = 0
    for part in parts:
        held.append(part)
        size += len(part)
        while size >= CHUNK_BYTES:
            joined = b"".join(held)
            piece, rest = joined[:CHUNK_BYTES], joined[CHUNK_BYTES:]
            yield piece
            held, size = [rest], len(rest)
            if not rest:
                held.clear()
    if held or size:
        yield b"".join(held)


def read_folder(folder: Path) -> Iterator[Item]:
    """Yield what is in a folder on disk, each folder before its content.

    Raises:
        RefusedItemError: something there is neither file, folder nor symbolic link.
        OSError: it cannot be read.
    """
    return _read(folder, b"")


def _read(folder: Path, below: bytes) -> Iterator[Item]:
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        path = below + os.fsencode(entry.name)
        status = entry.stat(follow_symlinks=False)
        mtime = int(status.st_mtime)
        if entry.is_symlink():
            target = os.fsencode(os.readlink(entry.path))  # noqa: PTH115 -- bytes
            yield Item(path, Kind.LINK, 0o777, len(target), mtime, target)
        elif entry.is_dir(follow_symlinks=False):
            check_path(path)  # before it is too deep to go into
            yield Item(path, Kind.FOLDER, status.st_mode, 0, mtime)
            yield from _read(Path(entry.path), path + b"/")
        elif entry.is_file(follow_symlinks=False):
            yield Item(
                path,
                Kind.FILE,
                status.st_mode,
                status.st_size,
                mtime,
                content=Path(entry.path),
            )
        else:
            raise RefusedItemError(
                f"{_shown(path)}: expected a file, a folder or a symbolic link, got "
                f"something of type {stat.S_IFMT(status.st_mode):#o}"
            )
