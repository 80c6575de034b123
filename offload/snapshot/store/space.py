"""Says in one line that a disk is full."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from offload.snapshot.errors import NoSpaceError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def room(folder: Path) -> Iterator[None]:
    """Run what writes below a folder; its other errors pass as they are.

    Raises:
        NoSpaceError: the disk, the quota or the largest allowed file is full.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise NoSpaceError(_line(folder, error.errno)) from None


def _line(folder: Path, number: int) -> str:
    existing = folder
    while not existing.exists():
        existing = existing.parent
    free = shutil.disk_usage(existing).free
    return (
        f"{folder}: no space for what is to be written: {os.strerror(number)} "
        f"({free / 1e6:,.0f} MB free); make room there, or use another place"
    )
