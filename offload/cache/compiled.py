"""Lets Python use the byte code that travelled with an environment.

Snapshots have no times, but Python believes a ``.pyc`` only if the source has the time
and size that stand in it. In a read-only tree it could never write another, so every
job would compile every module again. The time is put back from the ``.pyc`` itself.

Source of the format: PEP 552 (magic number, flags, then time and size of the source).
"""

from __future__ import annotations

import os
import struct
from contextlib import suppress
from pathlib import Path

_HEADER = struct.Struct("<4sIII")


def restore_source_times(folder: Path) -> int:
    """Give sources the times that their byte code expects; return the bytes on disk.

    Byte code that is checked by hash, or is of another source, changes nothing. Folders
    become such that they can be entered: the tree's manifest says what they are.
    """
    return _restore(os.fspath(folder))


def _restore(folder: str) -> int:
    size = 0
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        os.chmod(folder, 0o700)  # noqa: PTH101 -- as os.scandir gives it
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                size += _restore(entry.path)
            else:
                size += entry.stat(follow_symlinks=False).st_blocks * 512
                if entry.name.endswith(".pyc") and folder.endswith("/__pycache__"):
                    with suppress(OSError, struct.error):
                        _restore_one(entry.path)
    return size


def _restore_one(path: str) -> None:
    with open(path, "rb") as file:  # noqa: PTH123 -- as os.scandir gives it
        _, flags, mtime, source_size = _HEADER.unpack(file.read(_HEADER.size))
    cache, _, name = path.rpartition("/")
    source = f"{cache.rpartition('/')[0]}/{name.partition('.')[0]}.py"
    if flags == 0 and os.lstat(source).st_size & 0xFFFFFFFF == source_size:
        os.utime(source, (mtime, mtime), follow_symlinks=False)
