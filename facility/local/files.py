"""Files that only their owner reads, and that are never seen half written."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from facility.errors import UsageError


def ensure_private_directory(path: Path) -> None:
    """Make ``path`` a directory of ours with mode 0700.

    Raises:
        UsageError: it belongs to somebody else, who could replace what is inside.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = path.stat()
    if status.st_uid != os.geteuid():
        raise UsageError(
            f"{path}: expected a directory of user id {os.geteuid()}, it belongs to "
            f"{status.st_uid}: remove it or set storage.state in facility.yaml"
        )
    if stat.S_IMODE(status.st_mode) != 0o700:
        path.chmod(0o700)


def create_file(path: Path, content: str) -> None:
    """Create a file of mode 0600 with this content, whole or not at all.

    Raises:
        FileExistsError: it is there already; it was left as it was.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    _write(draft, content)
    try:
        os.link(draft, path)
    finally:
        draft.unlink()


def replace_file(path: Path, content: str) -> None:
    """Put a file of mode 0600 in place; readers see the old or the new one."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    _write(draft, content)
    draft.replace(path)


def _write(draft: Path, content: str) -> None:
    draft.unlink(missing_ok=True)  # left by a killed process that had our pid
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w") as stream:
            stream.write(content)
    except OSError:  # a full disk must not leave the draft behind
        draft.unlink()
        raise
