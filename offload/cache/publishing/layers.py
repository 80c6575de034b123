"""Reads layers of any OCI image: tar, tar+gzip or tar+zstd; refuses what leads out.

Image Specification 1.1 (opencontainers/image-spec, layer.md). Bytes flow through: what
is kept is the path of every member.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, cast

from offload import zstd
from offload.cache.publishing.errors import NoImageError, UnsafeImageError
from offload.snapshot.errors import DamagedError, UnsafeLayerError
from offload.snapshot.layers.headers import BLOCK, Header, Type, read_header, shown
from offload.snapshot.tree import Kind

PERMISSIONS = 0o777
"""Bits of a mode that are published. Set-id and sticky ones would be another's: who
makes files of the tree at a site owns them there."""
FOLDER_MODE = 0o755
"""Of a folder that the archive uses and does not have."""

_PIECE = 1 << 20
_LONGEST_NAME = 255
_LONGEST_PATH = 4095
_DEEPEST = 250
"""Folders in each other; no tree that anybody uses comes near."""
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_BROKEN = (zstd.ZstdError, zlib.error, gzip.BadGzipFile, EOFError)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one layer may be at most, however small it was made for its way."""

    bytes: int = 200 * 2**30
    members: int = 2_000_000


LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Member:
    """One path of a layer; a hard link is the file that it stands for."""

    path: bytes
    """Relative to the layer's root, without ``.``; empty is the root itself."""
    kind: Kind
    """File, folder or symbolic link."""
    mode: int
    size: int
    """Bytes of a file; 0 otherwise."""
    mtime: int
    """Seconds since the epoch."""
    target: bytes = b""
    """Of a symbolic link."""
    same_as: bytes | None = None
    """Path of an earlier file of the layer, no hard link itself, that has the same
    content: there is nothing to read then."""
    is_implied: bool = False
    """A folder that the archive does not have, but has something in it."""


class LayerReader:
    """A layer that is read once, from its beginning to its end.

    Args:
        file: the archive as it travels; read from its start, never written.
        name: how errors call it.
        limits: what it may be at most.
    """

    def __init__(self, file: BinaryIO, name: str, limits: Limits = LIMITS) -> None:
        self._name = name
        self._stream = _decompressed(file)
        self._limits = limits
        self._left = 0
        self._unread = 0
        """Bytes of the current member's content and padding that are not read."""
        self._taken = 0

    def members(self) -> Iterator[Member]:
        """Yield every path once; implied folders last.

        The content of a file is read (:meth:`content`) before the next one, or skipped.

        Raises:
            NoImageError: it is no layer.
            UnsafeImageError: a path leads out (by ``..``, from the root, through what
                is no folder), is too long or there twice; a member is a device or a
                pipe; it is larger than the limits.
        """
        with self._named():
            yield from self._members()

    def content(self) -> Iterator[bytes]:
        """Yield the content of the file at hand, piece by piece."""
        while self._left:
            with self._named():
                piece = self._take(min(self._left, _PIECE), is_content=True)
            yield piece

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except (UnsafeImageError, UnsafeLayerError) as error:
            raise UnsafeImageError(f"layer {self._name}: {error}") from None
        except (NoImageError, DamagedError) as error:
            raise NoImageError(f"layer {self._name}: {error}") from None

    def _members(self) -> Iterator[Member]:
        kinds: dict[bytes, Kind] = {}
        implied: dict[bytes, None] = {}
        originals: dict[bytes, bytes] = {}
        while (header := read_header(self._read)) is not None:
            path = checked_path(header.path)
            if len(kinds) >= self._limits.members:
                raise UnsafeImageError(f"has more than {self._limits.members:,} paths")
            _enter_parents(path, kinds, implied)
            before = kinds.get(path)
            if before is Kind.FOLDER and header.type is Type.FOLDER:
                if path not in implied:
                    continue  # again: some archivers name a folder for each file
                del implied[path]
            elif before is not None:
                raise UnsafeImageError(f"{shown(path)}: is there twice")
            member = _member(path, header, kinds, originals)
            kinds[path] = member.kind
            self._left = member.size if member.same_as is None else 0
            self._unread = self._left + -self._left % BLOCK
            yield member
            while self._unread:
                self._take(min(self._unread, _PIECE), is_content=False)
        for path in implied:
            yield Member(path, Kind.FOLDER, FOLDER_MODE, 0, 0, is_implied=True)

    def _take(self, size: int, *, is_content: bool) -> bytes:
        data = self._read(size)
        if len(data) < size:
            raise NoImageError("ends in the middle")
        self._unread -= size
        self._left = self._left - size if is_content else 0
        return data

    def _read(self, size: int) -> bytes:
        try:
            data = self._stream.read(size)
        except _BROKEN as error:
            raise NoImageError(f"cannot be decompressed: {error}") from None
        self._taken += len(data)
        if self._taken > self._limits.bytes:
            raise UnsafeImageError(f"holds more than {self._limits.bytes:,} bytes")
        return data


def checked_path(path: bytes) -> bytes:
    """Return a path in its shortest form.

    Raises:
        UnsafeImageError: it leads out of its folder, or no file system has it.
    """
    if path.startswith(b"/"):
        raise UnsafeImageError(f"{shown(path)}: expected a relative path")
    names = [name for name in path.split(b"/") if name not in {b"", b"."}]
    if b".." in names:
        raise UnsafeImageError(f"{shown(path)}: leads out of its folder")
    if b"\0" in path:
        raise UnsafeImageError(f"{shown(path)}: has a NUL byte")
    if len(path) > _LONGEST_PATH or any(len(name) > _LONGEST_NAME for name in names):
        raise UnsafeImageError(
            f"{shown(path)}: too long; expected names of at most {_LONGEST_NAME} bytes "
            f"and at most {_LONGEST_PATH} bytes in all"
        )
    if len(names) > _DEEPEST:
        raise UnsafeImageError(f"{shown(path)}: more than {_DEEPEST} folders deep")
    return b"/".join(names)


def _enter_parents(
    path: bytes, kinds: dict[bytes, Kind], implied: dict[bytes, None]
) -> None:
    while path:
        path = path.rpartition(b"/")[0]
        before = kinds.get(path)
        if before is Kind.FOLDER:
            return
        if before is not None:
            raise UnsafeImageError(
                f"{shown(path)}: something lies below it, and it is a {before}"
            )
        kinds[path] = Kind.FOLDER
        implied[path] = None


def _member(
    path: bytes,
    header: Header,
    kinds: dict[bytes, Kind],
    originals: dict[bytes, bytes],
) -> Member:
    mode = header.mode & PERMISSIONS
    match header.type:
        case Type.HARD_LINK:
            same = checked_path(header.target)
            same = originals.setdefault(path, originals.get(same, same))
            if kinds.get(same) is not Kind.FILE:
                raise UnsafeImageError(
                    f"{shown(path)}: a hard link to {shown(same)}, which is no file of "
                    "the layer so far"
                )
            return Member(path, Kind.FILE, mode, 0, header.mtime, same_as=same)
        case Type.LINK:
            if not header.target or b"\0" in header.target:
                raise UnsafeImageError(f"{shown(path)}: a link to nowhere")
            if len(header.target) > _LONGEST_PATH:
                raise UnsafeImageError(f"{shown(path)}: a link with too long a target")
            return Member(path, Kind.LINK, PERMISSIONS, 0, header.mtime, header.target)
        case Type.FOLDER:
            return Member(path, Kind.FOLDER, mode, 0, header.mtime)
        case Type.FILE:
            return Member(path, Kind.FILE, mode, header.size, header.mtime)


def _decompressed(file: BinaryIO) -> io.BufferedReader:
    file.seek(0)
    magic = file.read(4)
    file.seek(0)
    # What the bytes are, not what the manifest calls them: some registries rewrite that.
    raw: object = file
    if magic.startswith(_GZIP):
        raw = gzip.GzipFile(fileobj=file)
    elif magic == _ZSTD:
        raw = zstd.ZstdFile(file)
    return io.BufferedReader(cast("io.RawIOBase", raw), _PIECE)
