"""Removes trees, also those whose folders nobody may write to and from full disks."""

from __future__ import annotations

import os
import secrets
import shutil
from contextlib import suppress
from pathlib import Path

from offload.cache.errors import NoSpaceError
from offload.cache.receiving import room


def throw_away(path: Path, trash: Path) -> None:
    """Move what is there into the trash, in one step; on a full disk, remove it.

    Again is fine.

    Raises:
        OSError: something cannot be moved by this user at all.
    """
    with suppress(FileNotFoundError):
        try:
            with room(trash):
                trash.mkdir(mode=0o700, parents=True, exist_ok=True)
                path.rename(trash / f"{path.name.lstrip('.')}.{secrets.token_hex(4)}")
        except NoSpaceError:  # the trash may have to grow for one more name
            remove_tree(path)


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
