"""What one path is: the same words for what was frozen, what is there and what came."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from dataclasses import dataclass
from typing import IO

from offload.snapshot.tree import PERMISSIONS, Entry, Kind

BLOCK = 1 << 20
"""Bytes read at once: memory does not depend on the size of a file."""


@dataclass(frozen=True, slots=True)
class State:
    """Content and permissions of a path; times and owners are no part of it."""

    kind: Kind
    mode: int
    """Permission bits; 0 for links, which have none on Linux."""
    size: int
    """Bytes of a file; 0 for others."""
    content: str
    """SHA-256 of a file in hexadecimal, target of a link, empty for a folder."""

    def is_same_content(self, other: State) -> bool:
        """Whether both are the same but for permissions."""
        return self.kind is other.kind and self.content == other.content

    def to_json(self) -> dict[str, str | int]:
        return {
            "kind": self.kind.value,
            "mode": self.mode,
            "size": self.size,
            "content": self.content,
        }

    @classmethod
    def from_json(cls, data: object) -> State:
        """Read what :meth:`to_json` wrote.

        Raises:
            ValueError: it is something else.
        """
        match data:
            case {
                "kind": str(kind),
                "mode": int(mode),
                "size": int(size),
                "content": str(content),
            }:
                return cls(Kind(kind), mode, size, content)
            case _:
                raise ValueError(f"expected the state of a path, got {data!r}")

    @classmethod
    def of(cls, entry: Entry) -> State:
        """Return the state that a tree manifest gives a path."""
        match entry.kind:
            case Kind.FILE:
                return cls.file(entry.mode, entry.size, entry.sha256)
            case Kind.FOLDER:
                return cls.folder(entry.mode)
            case Kind.LINK:
                return cls.link(entry.target)

    @classmethod
    def folder(cls, mode: int) -> State:
        return cls(Kind.FOLDER, mode & PERMISSIONS, 0, "")

    @classmethod
    def link(cls, target: bytes) -> State:
        return cls(Kind.LINK, 0, 0, to_text(target))

    @classmethod
    def file(cls, mode: int, size: int, sha256: str) -> State:
        return cls(Kind.FILE, mode & PERMISSIONS, size, sha256)


def to_text(name: bytes) -> str:
    """Return a file name as text; every byte comes back by :func:`to_bytes`.

    Not ``os.fsdecode``: that depends on the locale, which is not the same at a site.
    """
    return name.decode("utf-8", "surrogateescape")


def to_bytes(name: str) -> bytes:
    """Undo :func:`to_text`."""
    return name.encode("utf-8", "surrogateescape")


def kind_of(mode: int) -> Kind | None:
    """Return the kind by ``st_mode``; ``None`` for what does not travel."""
    if stat.S_ISREG(mode):
        return Kind.FILE
    if stat.S_ISDIR(mode):
        return Kind.FOLDER
    if stat.S_ISLNK(mode):
        return Kind.LINK
    return None


def open_file(name: bytes, *, folder: int | None = None) -> IO[bytes]:
    """Open a regular file for reading, never through a link, never waiting for a pipe.

    Raises:
        OSError: it cannot be read, or is no regular file.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    handle = os.open(name, flags, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "not a regular file")
    return os.fdopen(handle, "rb", buffering=0)


def digest_of(file: IO[bytes]) -> tuple[str, int]:
    """Return SHA-256 and size of what is left to read."""
    digest, size = hashlib.sha256(), 0
    while block := file.read(BLOCK):
        digest.update(block)
        size += len(block)
    return digest.hexdigest(), size


def observe(name: bytes, *, folder: int | None = None) -> State | None:
    """Return what a path is now; ``None`` if nothing is there.

    Raises:
        OSError: it cannot be read, or is a socket, pipe or device.
    """
    try:
        found = os.lstat(name) if folder is None else _lstat(name, folder)
        match kind_of(found.st_mode):
            case Kind.FOLDER:
                return State.folder(found.st_mode)
            case Kind.LINK:
                return State.link(os.readlink(name, dir_fd=folder))
            case Kind.FILE:
                with open_file(name, folder=folder) as file:
                    mode = os.fstat(file.fileno()).st_mode
                    digest, size = digest_of(file)
                return State.file(mode, size, digest)
            case None:
                raise OSError(errno.EINVAL, "a socket, pipe or device")
    except FileNotFoundError:
        return None


def _lstat(name: bytes, folder: int) -> os.stat_result:
    return os.stat(name, dir_fd=folder, follow_symlinks=False)
