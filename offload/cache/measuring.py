"""How much room an unpacked layer takes."""

from __future__ import annotations

import os
from pathlib import Path


def enter_and_measure(folder: Path) -> int:
    """Return the bytes on disk of all files below a folder.

    Folders become such that they can be entered: the tree's manifest says what they are.
    """
    return _measure(os.fspath(folder))


def _measure(folder: str) -> int:
    size = 0
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        os.chmod(folder, 0o700)  # noqa: PTH101 -- as os.scandir gives it
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                size += _measure(entry.path)
            else:
                size += entry.stat(follow_symlinks=False).st_blocks * 512
    return size
