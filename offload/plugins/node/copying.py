"""Private copies of read-only trees."""
# 50,000 files: os.scandir and strings, no Path objects.
# ruff: noqa: PTH101, PTH102, PTH108, PTH115, PTH123, PTH211

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import suppress
from pathlib import Path

_FICLONE = 0x40049409  # ioctl_ficlone(2): share blocks until one side writes


def copy_tree(source: Path, target: Path) -> None:
    """Copy folders, files and links with their permission bits and times.

    Where the file system can share blocks, nothing is read. ``target`` is new, or as
    an interrupted copy left it.
    """
    _copy(os.fspath(source), os.fspath(target))


def _copy(source: str, target: str) -> None:
    with suppress(FileExistsError):
        os.mkdir(target, 0o700)
    with os.scandir(source) as entries:
        for entry in entries:
            place = f"{target}/{entry.name}"
            if entry.is_symlink():
                with suppress(FileExistsError):
                    os.symlink(os.readlink(entry.path), place)
            elif entry.is_dir():
                _copy(entry.path, place)
            else:
                _copy_file(entry.path, place)
    # Last: a folder that nobody may write to is filled first.
    shutil.copystat(source, target)


def _copy_file(source: str, target: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(target)
    with open(source, "rb") as old, open(target, "xb") as new:
        try:
            fcntl.ioctl(new.fileno(), _FICLONE, old.fileno())
        except OSError:
            shutil.copyfileobj(old, new, 1 << 20)
    shutil.copystat(source, target)


def remove_tree(path: Path) -> None:
    """Remove a folder with all in it, also what nobody may write to; none is fine."""
    try:
        shutil.rmtree(path)
    except FileNotFoundError:
        return
    except PermissionError:
        # Only folders need to be writable, and few are not: so, the second time.
        for folder, _, _ in os.walk(path):
            with suppress(OSError):
                os.chmod(folder, 0o700)
        shutil.rmtree(path)
