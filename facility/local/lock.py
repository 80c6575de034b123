"""Locks between commands: gone with the process that holds them, however it ends."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_POLL_S = 0.01


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of that file; waits for whoever holds it."""
    handle = _open(path)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def try_lock(path: Path, patience_s: float = 0.0) -> int | None:
    """Take the lock if nobody has it: a descriptor to keep open, else ``None``.

    Who looks (:func:`is_locked`) has it for an instant, who was killed until the kernel
    has taken it from him: ``patience_s`` outlasts both.
    """
    give_up = time.monotonic() + patience_s
    handle = _open(path)
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= give_up:
                os.close(handle)
                return None
            time.sleep(_POLL_S)
        else:
            return handle


def is_locked(path: Path) -> bool:
    """Whether somebody holds it now."""
    if not path.exists():
        return False
    handle = _open(path)
    try:
        # Shared: of two who look at once neither takes the other for a holder.
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
