"""A folder of arrays by key, bounded, for all processes of one user at once."""

from __future__ import annotations

import hashlib
import mmap
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import psutil
from platformdirs import user_cache_path

from facility.columnar.caching.entry import DamagedError, decoded, header
from facility.errors import UsageError

SIZE_VARIABLE = "FACILITY_COLUMN_CACHE_GB"
"""Sets the size; 0 is no cache at all."""

FOLDER_VARIABLE = "FACILITY_COLUMN_CACHE"
"""Sets the folder."""

DEFAULT_BYTES = 20 * 10**9
"""Or a tenth of what is free, if that is less."""

_KEPT = 0.9
"""What is kept of the bound when room is made, so that it is not made at every turn."""

_TOUCHED_S = 60
"""Use is noted no more often."""

_DRAFT_S = 3600
"""A draft so old is of a process that died."""


class ColumnStore:
    """Arrays by key: there whole or not at all; what was used longest ago goes first.

    Nothing here raises because of the disk: a cache that is full, damaged or
    unreachable is one that has nothing.

    Args:
        folder: made if need be, for this user only.
        limit_bytes: of all files together; above it for a moment, per process.
    """

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self.folder = folder
        self.limit_bytes = limit_bytes
        self._lock = threading.Lock()
        self._room: int | None = None
        """How much may be written before sizes are counted again."""

    def get(self, key: str) -> npt.NDArray[np.generic] | None:
        """Return the array of a key, read-only, in mapped memory; none if not there."""
        path = self._path(key)
        try:
            with path.open("rb") as file:
                age_s = time.time() - os.fstat(file.fileno()).st_mtime
                data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            if age_s > _TOUCHED_S:
                os.utime(path)
            return decoded(memoryview(data))
        except DamagedError:
            path.unlink(missing_ok=True)
        except (OSError, ValueError):  # ValueError: nothing in it to be mapped
            pass
        return None

    def put(self, key: str, array: npt.NDArray[np.generic]) -> None:
        """Keep an array, if there is room for it."""
        size = array.nbytes
        if size > self.limit_bytes / 10:
            return
        path = self._path(key)
        try:
            self._make_room(size)
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle, draft = tempfile.mkstemp(dir=path.parent, suffix=".draft")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(header(array))
                    file.write(array.data)
                Path(draft).replace(path)
            except BaseException:
                Path(draft).unlink(missing_ok=True)
                raise
        except OSError:
            return

    def _path(self, key: str) -> Path:
        digest = hashlib.sha256(key.encode()).hexdigest()
        return self.folder / digest[:2] / f"{digest[2:]}.column"

    def _make_room(self, size: int) -> None:
        """Remove what was used longest ago if the bound is reached."""
        with self._lock:
            if self._room is None or self._room < size:
                used = self._shrink(size)
                # Others write too: we count again when a part of the room is gone.
                self._room = max(size, (self.limit_bytes - used) // 4)
            self._room -= size

    def _shrink(self, size: int) -> int:
        files = sorted(self._files())
        used = sum(one for _, one, _ in files)
        if used + size <= self.limit_bytes:
            return used
        for _, one, path in files:
            if used + size <= self.limit_bytes * _KEPT:
                break
            path.unlink(missing_ok=True)  # who has it mapped keeps it
            used -= one
        return used

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        """Yield when each file was used, its size and path; drop what was abandoned."""
        now = time.time()
        for path in self.folder.glob("??/*"):
            try:
                found = path.stat()
                if path.suffix == ".draft" and now - found.st_mtime > _DRAFT_S:
                    path.unlink(missing_ok=True)
                    continue
            except OSError:  # another process was quicker
                continue
            yield found.st_mtime, found.st_size, path


@cache
def default_store() -> ColumnStore | None:
    """Return the store of this user; none if there is to be none.

    Raises:
        UsageError: the environment gives a size that is no number.
    """
    folder = os.environ.get(FOLDER_VARIABLE)
    path = Path(folder) if folder else user_cache_path("analysis-facility") / "columns"
    given = os.environ.get(SIZE_VARIABLE)
    try:
        limit = None if given is None else int(float(given) * 10**9)
    except ValueError as error:
        raise UsageError(
            f"{SIZE_VARIABLE}={given}: expected gigabytes, as in {SIZE_VARIABLE}=20"
        ) from error
    if limit == 0:
        return None
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        free = psutil.disk_usage(str(path)).free
    except OSError:
        return None
    return ColumnStore(path, limit or min(DEFAULT_BYTES, free // 10))
