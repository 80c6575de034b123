"""The same files in two places: hard links where they work, else copies."""
# Names are bytes of any kind, and there are 50,000 of them.
# ruff: noqa: PTH101, PTH102, PTH115, PTH116, PTH211

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

_NO_LINK = {errno.EMLINK, errno.EPERM, errno.ENOTSUP, errno.EXDEV, errno.ENOSYS}


def link_file(source: bytes, path: bytes, mode: int, found: os.stat_result) -> None:
    """Make a path show what a file holds.

    Args:
        source: the file.
        path: where nothing is.
        mode: permission bits that the path shall have.
        found: the file's status.
    """
    if found.st_mode & 0o777 == mode:
        try:
            os.link(source, path, follow_symlinks=False)
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
        else:
            return
    # A folder full of links, a file system without any, or bits that another
    # snapshot gives the same file: then a copy of its own.
    shutil.copyfile(source, path)
    os.chmod(path, mode)
    os.utime(path, ns=(found.st_mtime_ns, found.st_mtime_ns))


def link_tree(folder: Path, target: Path) -> None:
    """Make a folder with the same files, links and modes as another."""
    _link_tree(os.fsencode(folder), os.fsencode(target))


def _link_tree(folder: bytes, target: bytes) -> None:
    os.mkdir(target, 0o700)
    with os.scandir(folder) as entries:
        for entry in entries:
            inner = target + b"/" + entry.name
            if entry.is_dir(follow_symlinks=False):
                _link_tree(entry.path, inner)
            elif entry.is_symlink():
                os.symlink(os.readlink(entry.path), inner)
            elif entry.is_file(follow_symlinks=False):
                found = entry.stat(follow_symlinks=False)
                link_file(entry.path, inner, found.st_mode & 0o777, found)
    os.chmod(target, os.stat(folder).st_mode & 0o777)
