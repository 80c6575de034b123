"""Where notebook servers write: files of their own, not the hub's log.

A server outlives the hub and whoever reads the hub's output; with a file of its own it
never writes into a closed pipe, and one person's output is not mixed with another's.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

from facility.runtime import Runtime


def log_path(runtime: Runtime, user: str) -> Path:
    """Return the file that the user's server writes to."""
    return runtime.log_dir / f"server-{user}.log"


def open_log(runtime: Runtime, user: str) -> IO[bytes]:
    """Open ``log/server-USER.log`` (mode 0600) for appending.

    A file that has reached ``storage.log_size`` is first put aside as ``.log.1``.
    """
    path = log_path(runtime, user)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size >= runtime.spec.storage.log_size:
        path.replace(path.with_suffix(".log.1"))
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
    return os.fdopen(os.open(path, flags, 0o600), "ab")
