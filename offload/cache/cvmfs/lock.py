"""Who keeps whom away, among threads and processes; freed when its holder is killed."""

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
def held(path: Path, wait_s: float, *, is_shared: bool = False) -> Iterator[None]:
    """Hold a lock.

    Args:
        path: the file that stands for it.
        wait_s: for so long its holder may keep it.
        is_shared: whether others may hold it, too, who say the same.

    Raises:
        RepositoryBusyError: it was held all that time.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        until = time.monotonic() + wait_s
        while not _take(handle, fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX):
            if time.monotonic() >= until:
                raise RepositoryBusyError(
                    f"{path.parent}: another process is writing to the repository; "
                    "try again"
                )
            time.sleep(_LOOK_AGAIN_S)
        yield
    finally:
        os.close(handle)


def _take(handle: int, how: int) -> bool:
    try:
        fcntl.flock(handle, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
