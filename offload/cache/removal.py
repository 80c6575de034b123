"""Removes trees, also those whose folders nobody may write to."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path


def remove_tree(path: Path) -> None:
    """Remove a folder with all in it.

    Raises:
        OSError: something cannot be removed by this user at all.
    """
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    try:
        shutil.rmtree(path)
    except PermissionError:
        # Only folders need to be writable, and only some are not: so, the second time.
        for folder, _, _ in os.walk(path):
            with suppress(OSError):
                os.chmod(folder, 0o700)  # noqa: PTH101 -- bytes that are no UTF-8
        shutil.rmtree(path)
