"""Unpacks layers, also those of somebody else, into a folder and never out of it."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from offload.snapshot.errors import DamagedError, UnsafeLayerError
from offload.snapshot.files.survey import WHITEOUT
from offload.snapshot.layers.reading import Layer, check_path
from offload.snapshot.layers.tar import Member
from offload.snapshot.store.space import room
from offload.snapshot.tree import PERMISSIONS, Kind

_HOLE = 1 << 16
"""Bytes of zeros from which on none are written."""
_ZEROS = bytes(_HOLE)
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def unpack(blob: Path, directory: Path, *, digest: str | None = None) -> None:
    """Unpack a layer on top of what a folder holds; deletions take effect.

    Links are made as they are and never followed. Long runs of zeros become holes.
    Owners and times are those of whoever unpacks. After an error the folder holds a
    part of the layer and should be thrown away.

    Args:
        blob: the layer.
        directory: made if need be.
        digest: what the layer must be; by default it is taken as it is.

    Raises:
        UnsafeLayerError: it would reach out of the folder, or holds hard links, devices
            or pipes.
        DamagedError: it is no layer, or not the one expected.
        NoSpaceError: the disk is full.
    """
    with room(directory), blob.open("rb", buffering=0) as file:
        directory.mkdir(parents=True, exist_ok=True)
        layer = Layer(file, blob.name)
        with _Folders(directory) as folders:
            for member in layer.members():
                _put(member, layer, folders)
        if digest is not None and (got := layer.digest()) != digest:
            raise DamagedError(f"{blob}: expected {digest}, got {got}")


def _put(member: Member, layer: Layer, folders: _Folders) -> None:
    parent, _, name = member.path.rpartition(b"/")
    if name.startswith(WHITEOUT):
        gone = name.removeprefix(WHITEOUT)
        if gone.startswith(WHITEOUT):
            raise DamagedError(f"{member.path!r}: expected a deletion of one name")
        check_path(gone)
        _remove(gone, folders.enter(parent))
        return
    mode = member.mode & PERMISSIONS
    if member.kind is Kind.FOLDER:
        folders.make(member.path, mode)
        return
    folder = folders.enter(parent)
    if member.kind is Kind.LINK:
        try:
            os.symlink(member.target, name, dir_fd=folder)
        except FileExistsError:
            _remove(name, folder)
            os.symlink(member.target, name, dir_fd=folder)
        return
    try:
        descriptor = os.open(name, _FILE_FLAGS, 0o600, dir_fd=folder)
    except FileExistsError:
        _remove(name, folder)
        descriptor = os.open(name, _FILE_FLAGS, 0o600, dir_fd=folder)
    try:
        _write(descriptor, layer.content(member), member.size)
        os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)


def _write(descriptor: int, pieces: Iterable[bytes], size: int) -> None:
    ends_in_hole = False
    for piece in pieces:
        for start in range(0, len(piece), _HOLE):
            view = memoryview(piece)[start : start + _HOLE]
            ends_in_hole = len(view) == _HOLE and view == _ZEROS
            if ends_in_hole:
                os.lseek(descriptor, _HOLE, os.SEEK_CUR)
                continue
            while view:
                view = view[os.write(descriptor, view) :]
    if ends_in_hole:
        os.ftruncate(descriptor, size)


class _Folders:
    """The folders on the way to the path at hand, held open.

    Every step goes through a descriptor and follows no link, so no name in a layer can
    lead elsewhere, whatever the layer has put there before.
    """

    def __init__(self, directory: Path) -> None:
        self._names: list[bytes] = []
        self._open = [os.open(directory, _FOLDER_FLAGS & ~os.O_NOFOLLOW)]
        self._modes: dict[bytes, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                # The deepest first: a folder that is closed cannot be entered.
                for path in sorted(self._modes, reverse=True):
                    os.fchmod(self.enter(path), self._modes[path])
        finally:
            self._leave(0)
            os.close(self._open.pop())

    def enter(self, path: bytes) -> int:
        """Return a descriptor of a folder; it and those it is in are made if need be.

        Raises:
            UnsafeLayerError: something on the way is a link, or no folder.
        """
        names = path.split(b"/") if path else []
        same = 0
        for mine, wanted in zip(self._names, names, strict=False):
            if mine != wanted:
                break
            same += 1
        self._leave(same)
        for name in names[same:]:
            self._open.append(self._step(name))
            self._names.append(name)
        return self._open[-1]

    def make(self, path: bytes, mode: int) -> None:
        """Make a folder, in place of what else is there, with that mode at the end."""
        parent, _, name = path.rpartition(b"/")
        folder = self.enter(parent)
        try:
            os.mkdir(name, 0o700, dir_fd=folder)
        except FileExistsError:
            if not stat.S_ISDIR(os.lstat(name, dir_fd=folder).st_mode):
                _remove(name, folder)
                os.mkdir(name, 0o700, dir_fd=folder)
        self._modes[path] = mode

    def _leave(self, depth: int) -> None:
        while len(self._names) > depth:
            self._names.pop()
            os.close(self._open.pop())

    def _step(self, name: bytes) -> int:
        folder = self._open[-1]
        try:
            descriptor = self._open_folder(name, folder)
        except FileNotFoundError:
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, 0o700, dir_fd=folder)
                self._modes.setdefault(self._below(name), 0o755)
            descriptor = self._open_folder(name, folder)
        except PermissionError:  # of a layer below, and closed to us
            mode = os.lstat(name, dir_fd=folder).st_mode & PERMISSIONS
            self._modes.setdefault(self._below(name), mode)
            os.chmod(name, 0o700, dir_fd=folder)
            descriptor = self._open_folder(name, folder)
        mode = os.fstat(descriptor).st_mode & PERMISSIONS
        if mode & 0o700 != 0o700:  # of a layer below; closed again at the end
            self._modes.setdefault(self._below(name), mode)
            os.fchmod(descriptor, 0o700)
        return descriptor

    def _open_folder(self, name: bytes, folder: int) -> int:
        try:
            return os.open(name, _FOLDER_FLAGS, dir_fd=folder)
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.ENOTDIR):
                raise
            raise UnsafeLayerError(
                f"{self._below(name)!r}: expected a folder, got something else"
            ) from None

    def _below(self, name: bytes) -> bytes:
        return b"/".join((*self._names, name))


def _remove(name: bytes, folder: int) -> None:
    """Delete a name with all that is below it; no error if there is nothing."""
    try:
        mode = os.lstat(name, dir_fd=folder).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(mode):
        os.unlink(name, dir_fd=folder)
        return
    os.chmod(name, 0o700, dir_fd=folder)
    descriptor = os.open(name, _FOLDER_FLAGS, dir_fd=folder)
    try:
        for inner in os.listdir(descriptor):  # noqa: PTH208  no path
            _remove(os.fsencode(inner), descriptor)
    finally:
        os.close(descriptor)
    os.rmdir(name, dir_fd=folder)
