"""Files that are whole or not there, and disks that are full."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from offload.outputs.errors import NoSpaceError


def write_whole(path: Path, content: bytes) -> None:
    """Write a file, also to the disk; who reads sees the one before or the whole new."""
    draft = path.with_name(f"{path.name}.new")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


@contextmanager
def room(folder: Path, what: str, then: str) -> Iterator[None]:
    """Run what writes into a folder; its other errors pass as they are.

    Args:
        folder: where to.
        what: is written, in words.
        then: what becomes of it once there is room, in words.

    Raises:
        NoSpaceError: the disk or the quota is full.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise NoSpaceError(
            f"{folder}: no space left for {what}: free some, {then}"
        ) from error
