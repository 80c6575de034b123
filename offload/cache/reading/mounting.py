"""Mounts images lazily, where the machine allows it (FUSE)."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from offload.cache.reading.errors import MountError

if TYPE_CHECKING:
    from offload.cache.reading.cache import RepositoryCache

_KEPT_S = 86400
"""What the kernel was told of an image it may believe as long as a job lasts."""
_START_S = 60.0
_END_S = 20.0
_FUSERMOUNT = "fusermount3"
_SUBTYPE = "offload-cache"


def can_mount() -> bool:
    """Whether this user may mount something here."""
    return (
        os.access("/dev/fuse", os.R_OK | os.W_OK)
        and shutil.which(_FUSERMOUNT) is not None
        and importlib.util.find_spec("mfusepy") is not None
    )


class Mount:
    """An image at a folder, by a process of its own, until it is closed.

    That process ends with this one, also if this one is killed.
    """

    def __init__(self, cache: RepositoryCache, image: str, where: Path) -> None:
        """Mount; returns once the image is there.

        Args:
            cache: where what is read is kept.
            image: digest of its manifest.
            where: an empty folder.

        Raises:
            MountError: it does not work here; the error says why.
        """
        if not can_mount():
            raise MountError(
                f"{where}: nothing can be mounted here: that needs /dev/fuse, "
                f"{_FUSERMOUNT} and the Python package mfusepy"
            )
        unmount(where)  # what a killed one has left
        self.where = where
        order = {
            "settings": cache.settings.model_dump(mode="json"),
            "folder": str(cache.folder.parent),
            "image": image,
            "where": str(where),
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "offload.cache.reading.mounted"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()
        late = threading.Timer(_START_S, self._process.kill)
        late.start()
        is_ready = self._process.stdout.readline() == b"ready\n"
        late.cancel()
        if not is_ready:
            _, told = self._process.communicate()
            last = told.decode(errors="replace").strip().splitlines()[-1:]
            raise MountError(f"{where}: {''.join(last) or 'it did not start in time'}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Unmount; what is still open there can be read to its end."""
        with suppress(BrokenPipeError):
            self._process.communicate(timeout=_END_S)


def unmount(where: Path) -> None:
    """Take a mount away, if there is one; who still uses it keeps it until he ends."""
    if _is_ours(where):
        subprocess.run(
            [_FUSERMOUNT, "-u", "-z", "-q", where],
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
        )


def serve(
    cache: RepositoryCache, image: str, where: Path, mounted: Callable[[], object]
) -> None:
    """Serve an image in this process until somebody unmounts it.

    Raises:
        MountError: that does not work here.
        CacheError: the repository has no such image.
    """
    try:
        # Late: a machine may lack the library that these load.
        import mfusepy

        from offload.cache.reading.filesystem import ImageFilesystem
    except (ImportError, OSError) as error:
        raise MountError(f"{where}: FUSE cannot be used: {error}") from None
    operations = ImageFilesystem(*cache.serving(image), mounted)
    try:
        mfusepy.FUSE(
            operations,
            str(where),
            foreground=True,
            ro=True,
            fsname=f"{cache.settings.fqrn}",
            subtype=_SUBTYPE,
            kernel_cache=True,
            entry_timeout=_KEPT_S,
            attr_timeout=_KEPT_S,
            negative_timeout=_KEPT_S,
        )
    except RuntimeError as error:
        raise MountError(f"{where}: cannot be mounted (FUSE error {error})") from None


def _is_ours(where: Path) -> bool:
    """Whether one of our mounts is there, also one whose process was killed."""
    # proc(5): mount point in the fifth field, blanks as octal; the type after a dash.
    place = str(where.absolute()).replace("\\", r"\134").replace(" ", r"\040")
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as mounts:  # noqa: PTH123
        fields = [line.split(" ") for line in mounts]
    return any(
        one[4] == place and one[one.index("-") + 1] == f"fuse.{_SUBTYPE}"
        for one in fields
    )
