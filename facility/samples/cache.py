"""Where samples lie on disk, and how a file appears there whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import platformdirs

from facility.errors import UsageError

SPARE_BYTES = 64 * 2**20
"""Free space that a fetch leaves on the disk."""

ABANDONED_S = 24 * 3600
"""A folder of a fetch that is older than this has nobody who writes to it."""
UNWRITABLE = frozenset(
    {
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EACCES,
        errno.EPERM,
        errno.EROFS,
        errno.ENOTDIR,
        errno.EEXIST,
    }
)
"""What the operating system says of a disk that the person must do something about."""


def cache_dir() -> Path:
    """Return ``$XDG_CACHE_HOME/analysis-facility/samples`` (it may not exist)."""
    return platformdirs.user_cache_path("analysis-facility", appauthor=False) / (
        "samples"
    )


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def ensure_space(directory: Path, needed_bytes: int) -> None:
    """Raise ``UsageError`` if the disk of ``directory`` has too little free space."""
    existing = next(p for p in (directory, *directory.parents) if p.exists())
    free = shutil.disk_usage(existing).free
    if free < needed_bytes + SPARE_BYTES:
        raise UsageError(
            f"the disk of {existing} is full: {free // 2**20} MiB free, "
            f"{(needed_bytes + SPARE_BYTES) // 2**20} MiB needed; free some, or set "
            "XDG_CACHE_HOME to another disk"
        )


@contextlib.contextmanager
def scratch(directory: Path, prefix: str) -> Iterator[Path]:
    """Yield a new folder below ``directory``; it is gone afterwards.

    Folders that a killed process left are removed after ``ABANDONED_S``.

    Raises:
        UsageError: the disk is full or not writable, now or inside the block.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for left in directory.glob(f"{prefix}*"):
            with contextlib.suppress(FileNotFoundError):  # its owner was quicker
                if time.time() - left.stat().st_mtime > ABANDONED_S:
                    shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(
            prefix=prefix, dir=directory, ignore_cleanup_errors=True
        ) as folder:
            yield Path(folder)
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        raise UsageError(
            f"cannot write {directory}: {os.strerror(error.errno)}; free some space, "
            "or set XDG_CACHE_HOME to a directory that you can write"
        ) from error


@contextlib.contextmanager
def draft(target: Path) -> Iterator[Path]:
    """Yield a path of its own to write to; it becomes ``target`` if all went well.

    Several processes may do this at once: each has its own draft, the last rename
    wins and every reader sees a whole file.

    Raises:
        UsageError: the disk is full or not writable.
    """
    with scratch(target.parent, ".draft-") as folder:
        path = folder / target.name
        yield path
        path.replace(target)
