"""Files that only their owner reads, and that are never seen half written."""

from __future__ import annotations

import os
import stat
import tempfile
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
    draft = _draft(path, content, durable=True)
    try:
        os.link(draft, path)
    finally:
        draft.unlink()


def replace_file(path: Path, content: str, *, durable: bool = True) -> None:
    """Put a file of mode 0600 in place; readers see the old or the new one.

    ``durable`` files are whole after a power failure too; others may be empty then.
    """
    _draft(path, content, durable=durable).replace(path)


def _draft(path: Path, content: str, *, durable: bool) -> Path:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    draft = Path(name)
    try:
        with os.fdopen(handle, "w") as stream:
            stream.write(content)
            if durable:
                stream.flush()
                os.fsync(handle)
    except OSError:  # a full disk must not keep the draft
        draft.unlink()
        raise
    return draft
