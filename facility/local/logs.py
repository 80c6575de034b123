"""Log files that survive the supervisor, with rotation by size.

Processes write straight into their file, opened for appending: with a pipe to the
supervisor they would die of SIGPIPE, or stand still, once it is killed. So rotation
copies the file and empties it; appending writers go on at its new end. Lines written
in the instant between copying and emptying (microseconds) are lost.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def log_file(log_dir: Path, name: str) -> Path:
    """Return where the process of that name logs."""
    return log_dir / f"{name}.log"


def open_log(path: Path) -> int:
    """Open for appending, mode 0600; return the descriptor."""
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)


def rotate(path: Path, *, max_bytes: int, count: int) -> bool:
    """Rotate ``x.log`` to ``x.log.1`` ... ``x.log.COUNT`` if it has grown too large.

    Returns whether it was. A missing file is no error.
    """
    try:
        if path.stat().st_size < max_bytes:
            return False
    except FileNotFoundError:
        return False
    for number in range(count - 1, 0, -1):
        older = path.with_name(f"{path.name}.{number}")
        if older.exists():
            older.replace(path.with_name(f"{path.name}.{number + 1}"))
    newest = path.with_name(f"{path.name}.1")
    newest.unlink(missing_ok=True)
    with path.open("rb+") as source, os.fdopen(open_log(newest), "ab") as target:
        shutil.copyfileobj(source, target)
        source.truncate(0)
    return True


def last_lines(path: Path, count: int) -> list[str]:
    """Return the last lines of a log file; empty if there is none."""
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - 512 * count))
            lines = stream.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return []
    return lines[-count:]
