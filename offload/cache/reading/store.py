"""Objects on disk, decompressed; each content knows by its own name what it must be.

``content/ab/...`` is named by the BLAKE2b (160 bits) of its bytes, its mode and its time
(seconds), so that each file can be checked without asking anybody, also once it is part
of a tree by a hard link: whatever has written to it has given it another time. Contents
that differ in mode or time are files of their own, for a file has one of each; their
owner can read all of them, whatever mode is asked for. ``objects`` is the index from
names of objects to contents. A content's time of access is when it was last used.
"""
# Names of 100,000 objects: strings and os, no Path objects.
# ruff: noqa: PTH101, PTH103, PTH105, PTH108, PTH120, PTH208

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Self

from offload.cache.errors import NoSpaceError
from offload.cache.reading.index import Index
from offload.cache.receiving import room

_BLOCK = 1 << 20
_USED_S = 600.0
"""A content's time of last use is not noted more often."""


class Content(NamedTuple):
    """What a file holds and how it appears; its name in the store."""

    digest: str
    """BLAKE2b, 20 bytes, in hex."""
    mode: int
    """Permission bits."""
    mtime: int
    """Unix time, seconds."""

    @classmethod
    def parse(cls, name: str) -> Self:
        """Read the name of a content; raises ValueError for anything else."""
        digest, mode, mtime = name.split(".")
        return cls(digest, int(mode, 8), int(mtime))

    def __str__(self) -> str:
        return f"{self.digest}.{self.mode:o}.{self.mtime}"

    def is_like(self, found: os.stat_result, size: int | None = None) -> bool:
        """Whether a file has not been touched since it was put there."""
        return (
            stat.S_ISREG(found.st_mode)
            and stat.S_IMODE(found.st_mode) == self.mode
            and found.st_mtime_ns == self.mtime * 1_000_000_000
            and (size is None or found.st_size == size)
        )


class Kept(NamedTuple):
    """A content on disk."""

    size: int
    """Bytes that it takes."""
    used: float
    """When it was last used: Unix time."""
    links: int
    """Paths that it has: in the store, in trees, and wherever else it was taken."""
    changed: float
    """When it was put there, or got or lost a link: Unix time."""


class Store:
    """Contents by the names of objects, below a folder of one file system.

    Every process that may write to the folder may use it at the same time.
    """

    def __init__(self, folder: Path) -> None:
        self._index = Index(os.fspath(folder / "objects"))
        self._content = os.fspath(folder / "content")
        self._drafts = os.fspath(folder / "drafts")
        for path in (self._content, self._drafts):
            os.makedirs(path, mode=0o700, exist_ok=True)
        self._parts: set[str] = set()
        self._verified: dict[str, tuple[int, int]] = {}

    def content(self, name: str) -> Content | None:
        """Return what an object holds if it is here; not verified."""
        found = self._index.get(name)
        return None if found is None else Content.parse(found)

    def find(self, name: str, size: int | None = None) -> str | None:
        """Return the path of an object's content, or None if it is not here, whole.

        All its bytes are verified when this process uses it first; later, that nobody
        has touched it. What is damaged is removed.
        """
        content = self.content(name)
        if content is None:
            return None
        path = self.path(content)
        return path if self._is_whole(path, content, size) else None

    def has(self, content: Content) -> bool:
        """Whether a content is here, verified as :meth:`find` does it."""
        return self._is_whole(self.path(content), content, None)

    def path(self, content: Content) -> str:
        """Return where a content is, or would be."""
        return f"{self._content}/{content.digest[:2]}/{content}"

    def _draft(self, part: str) -> str:
        """Return a path for a file that is being written.

        In one of many folders: ext4 makes thousands of files in one of them slowly.
        """
        folder = f"{self._drafts}/{part}"
        if part not in self._parts:
            os.makedirs(folder, mode=0o700, exist_ok=True)
            self._parts.add(part)
        return f"{folder}/{os.getpid()}.{secrets.token_hex(6)}"

    def add(
        self,
        name: str,
        pieces: Iterable[bytes],
        *,
        mode: int = 0o444,
        mtime: int = 0,
    ) -> Content:
        """Put an object in place once its pieces have come to a good end.

        Raises:
            NoSpaceError: the disk is full; nothing is left.
        """
        found = hashlib.blake2b(digest_size=20)
        with room(Path(self._content)):
            draft = self._draft(name[:2])
            try:
                with open(draft, "xb") as file:  # noqa: PTH123
                    for piece in pieces:
                        found.update(piece)
                        file.write(piece)
                content = Content(found.hexdigest(), mode | stat.S_IRUSR, mtime)
                # In this order nothing is left that has no name if the disk is full.
                self._index.put(name, str(content))
                self._place(draft, content)
            except BaseException:
                with suppress(FileNotFoundError):
                    os.unlink(draft)
                raise
        return content

    def variant(self, content: Content, mode: int, mtime: int) -> Content:
        """Return the same content with that time, and mode if its owner can read it so.

        Raises:
            FileNotFoundError: it is gone, or was found damaged.
            NoSpaceError: the disk is full.
        """
        wanted = Content(content.digest, mode | stat.S_IRUSR, mtime)
        if wanted == content or self._is_whole(self.path(wanted), wanted, None):
            return wanted
        with room(Path(self._content)):
            draft = self._draft(content.digest[:2])
            try:
                shutil.copyfile(self.path(content), draft)
                if digest_of(draft) != content.digest:
                    self._drop(self.path(content))
                    raise FileNotFoundError(self.path(content))
                self._place(draft, wanted)
            finally:
                with suppress(FileNotFoundError):
                    os.unlink(draft)
        return wanted

    def distrust(self) -> None:
        """Verify all bytes anew when they are used next."""
        self._verified.clear()

    def remove(self, name: str) -> None:
        """Remove an object with its content; trees keep theirs."""
        content = self.content(name)
        if content is not None:
            self.drop(content)
            self._index.put(name)

    def drop(self, content: Content) -> None:
        """Remove a content; trees keep theirs."""
        self._drop(self.path(content))

    def keep(self, names: Iterable[str]) -> None:
        """Forget all other objects: their contents are gone."""
        # Without room to write that down they stay known, and are found to be gone.
        with suppress(NoSpaceError), room(Path(self._content)):
            self._index.keep(names)

    def objects(self) -> Iterator[tuple[str, Content]]:
        """Yield all objects, with their contents."""
        for name, content in self._index.items():
            yield name, Content.parse(content)

    def kept(self) -> dict[Content, Kept]:
        """Return what each content takes, and since when."""
        found: dict[Content, Kept] = {}
        for part in os.listdir(self._content):
            with os.scandir(f"{self._content}/{part}") as entries:
                for entry in entries:
                    with suppress(FileNotFoundError, ValueError):
                        status = entry.stat(follow_symlinks=False)
                        found[Content.parse(entry.name)] = Kept(
                            status.st_blocks * 512,
                            status.st_atime,
                            status.st_nlink,
                            status.st_ctime,
                        )
        return found

    def drafts(self) -> Iterator[Path]:
        """Yield what is being written, and what killed processes have left."""
        yield from Path(self._drafts).glob("*/*")

    def _is_whole(self, path: str, content: Content, size: int | None) -> bool:
        try:
            found = os.lstat(path)
        except FileNotFoundError:
            return False
        is_known = self._verified.get(path) == (found.st_ino, found.st_mtime_ns)
        if content.is_like(found, size) and (
            is_known or digest_of(path) == content.digest
        ):
            self._verified[path] = (found.st_ino, found.st_mtime_ns)
            if time.time() - found.st_atime > _USED_S:
                with suppress(FileNotFoundError):
                    os.utime(path, (time.time(), content.mtime))
            return True
        self._drop(path)
        return False

    def _place(self, draft: str, content: Content) -> None:
        os.chmod(draft, content.mode)
        os.utime(draft, (time.time(), content.mtime))
        path = self.path(content)
        try:
            os.replace(draft, path)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            os.replace(draft, path)
        found = os.lstat(path)
        self._verified[path] = (found.st_ino, found.st_mtime_ns)

    def _drop(self, path: str) -> None:
        self._verified.pop(path, None)
        with suppress(FileNotFoundError):
            os.unlink(path)


def digest_of(path: str) -> str | None:
    """Return the digest by which a file's content is named; None if it is gone."""
    found = hashlib.blake2b(digest_size=20)
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123
            while block := file.read(_BLOCK):
                found.update(block)
    except OSError:
        return None
    return found.hexdigest()


def content_at(path: str) -> bytes | None:
    """Return a content; None if it is gone, or not what its name says."""
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123
            data = file.read()
    except OSError:
        return None
    found = hashlib.blake2b(data, digest_size=20).hexdigest()
    return data if found == Content.parse(os.path.basename(path)).digest else None  # noqa: PTH119
