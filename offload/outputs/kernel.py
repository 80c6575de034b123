"""What Linux can do to files and Python's ``os`` cannot: renames with conditions.

renameat2(2) and syncfs(2) through the C library; leases by fcntl(2).
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import signal
from functools import cache
from pathlib import Path

_NOREPLACE = 1  # linux/fs.h, RENAME_NOREPLACE
_EXCHANGE = 2  # linux/fs.h, RENAME_EXCHANGE
_UNSUPPORTED = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP})


@cache
def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _rename(old: bytes, new: bytes, folder: int, flags: int) -> None:
    call = _library().renameat2
    call.argtypes = [
        ctypes.c_int,
        ctypes.c_char_p,
        ctypes.c_int,
        ctypes.c_char_p,
        ctypes.c_uint,
    ]
    if call(folder, old, folder, new, flags) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), old, None, new)


def rename_to_free(old: bytes, new: bytes, folder: int) -> None:
    """Rename within a folder, if nothing has the new name: atomic.

    On file systems without that (NFS), a hard link is made and the old name removed.

    Raises:
        FileExistsError: something has it.
    """
    try:
        _rename(old, new, folder, _NOREPLACE)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        os.link(old, new, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
        os.unlink(old, dir_fd=folder)


def exchange(staged: bytes, name: bytes, saved: bytes, folder: int) -> None:
    """Swap what two names of a folder stand for.

    Atomic with renameat2(2). On file systems without it (NFS), what ``name`` stands for
    is linked as ``saved``, replaced, and ``saved`` then becomes ``staged``: whoever
    replaces ``name`` by a rename between the first two of these steps, a matter of
    microseconds, loses what he put there. Writing into the file loses nothing.

    Raises:
        FileNotFoundError: one of them is not there.
    """
    try:
        _rename(staged, name, folder, _EXCHANGE)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        os.link(
            name, saved, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False
        )
        os.rename(staged, name, src_dir_fd=folder, dst_dir_fd=folder)
        os.rename(saved, staged, src_dir_fd=folder, dst_dir_fd=folder)


def hold_against_writers(handle: int) -> bool:
    """Take a read lease on an open file; return ``False`` if somebody writes to it.

    Until the file is closed, whoever wants to write to it waits. Where there are no
    leases (NFS, files of others) the answer is ``True`` and nobody waits.
    """
    try:
        # The default signal to a holder, SIGIO, ends the process; SIGURG does nothing.
        fcntl.fcntl(handle, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        return error.errno != errno.EAGAIN
    return True


def synchronise(folder: Path) -> None:
    """Return when the file system of a folder is on the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if _library().syncfs(handle) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(folder))
    finally:
        os.close(handle)
