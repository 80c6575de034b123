"""One writer at a time, among threads and processes; freed when its holder is killed."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from offload.cache.cvmfs.errors import RepositoryBusyError

_LOOK_AGAIN_S = 0.05


@contextmanager
def held(path: Path, wait_s: float) -> Iterator[None]:
    """Hold a lock.

    Args:
        path: the file that stands for it.
        wait_s: for so long its holder may keep it.

    Raises:
        RepositoryBusyError: it was held all that time.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        until = time.monotonic() + wait_s
        while not _take(handle):
            if time.monotonic() >= until:
                raise RepositoryBusyError(
                    f"{path.parent}: another process is writing to the repository; "
                    "try again"
                )
            time.sleep(_LOOK_AGAIN_S)
        yield
    finally:
        os.close(handle)


def _take(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
