"""Mounts images lazily, where the machine allows it (FUSE)."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from offload.cache.errors import CacheError
from offload.cache.reading.errors import AbsentError, MountError
from offload.cache.reading.paths import image_path
from offload.cache.reading.serving import SUBTYPE

if TYPE_CHECKING:
    from offload.cache.reading.cache import RepositoryCache
    from offload.cache.reading.view import View

_START_S = 60.0
_FUSERMOUNT = "fusermount3"


def can_mount() -> bool:
    """Whether this user may mount something here."""
    return (
        os.access("/dev/fuse", os.R_OK | os.W_OK)
        and shutil.which(_FUSERMOUNT) is not None
        and importlib.util.find_spec("mfusepy") is not None
    )


def require_mounting() -> None:
    """Make sure that something can be mounted here.

    Raises:
        MountError: nothing can; the error says what that needs.
    """
    if not can_mount():
        raise MountError(
            f"nothing can be mounted here: that needs /dev/fuse, {_FUSERMOUNT} and the "
            "Python package mfusepy"
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
        require_mounting()
        unmount(where)  # what a killed one has left
        self.where = where
        self._process = subprocess.Popen(
            [sys.executable, "-m", "offload.cache.reading.mounted"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._ordered = threading.Event()
        try:
            self._order(cache, image)
            self._wait_until_ready()
        except BaseException:
            self._process.kill()
            self._process.communicate()
            self._ordered.set()
            unmount(where)
            raise

    def _order(self, cache: RepositoryCache, image: str) -> None:
        """Say what is to be mounted; find out while that process starts."""
        try:
            view = cache.view()
            threading.Thread(  # beside all that follows
                target=self._bring, args=(cache, view, image), daemon=True
            ).start()
            if view.find(image_path(image)) is None:
                fqrn = view.revision.fqrn
                raise AbsentError(f"{image[:19]}: no image of {fqrn}")
            view.listing(image_path(image))  # its catalogue comes meanwhile
        except CacheError as error:
            raise MountError(f"{self.where}: {error}") from None
        order = {
            "settings": cache.settings.model_dump(mode="json"),
            # That process works in another folder.
            "folder": str(cache.folder.parent.absolute()),
            "image": image,
            "where": str(self.where.absolute()),
            "revision": str(view.revision),
        }
        self._tell(json.dumps(order).encode())
        self._ordered.set()

    def _bring(self, cache: RepositoryCache, view: View, image: str) -> None:
        def arrived(name: bytes, path: Path) -> None:
            self._ordered.wait()
            self._tell(name + b" " + os.fsencode(path))

        try:
            # What does not come ahead is fetched when it is read, and it is told why.
            with suppress(CacheError, OSError):
                cache.bundle(image, arrived, view)
        finally:
            self._ordered.wait()
            self._tell(b"")

    def _tell(self, line: bytes) -> None:
        orders = self._process.stdin
        if orders is None:
            return
        with suppress(OSError, ValueError):  # it has ended already, and says why
            orders.write(line + b"\n")
            orders.flush()

    def _wait_until_ready(self) -> None:
        assert self._process.stdout is not None
        late = threading.Timer(_START_S, self._process.kill)
        late.start()
        is_ready = self._process.stdout.readline() == b"ready\n"
        late.cancel()
        if not is_ready:
            _, told = self._process.communicate()
            raise MountError(
                f"{self.where}: {_last_line(told) or 'it did not start in time'}"
            )

    def wait(self) -> None:
        """Return once somebody has unmounted it."""
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> str:
        """Unmount; what is still open there can be read to its end.

        A read that waits for the repository ends with its process.

        Returns:
            one line, if some of what was asked for could not be read; empty if that is
            not known, for somebody reads on.
        """
        orders, self._process.stdin = self._process.stdin, None
        if orders is None:
            return ""
        with suppress(BrokenPipeError):
            orders.close()
        assert self._process.stdout is not None
        if self._process.stdout.readline():  # it ends with who uses it still
            return ""
        _, told = self._process.communicate()
        code = self._process.returncode
        if code < 0:
            return f"what mounts it was killed (signal {-code})"
        return _last_line(told) if code else ""


def _last_line(told: bytes) -> str:
    return "".join(told.decode(errors="replace").strip().splitlines()[-1:])


def unmount(where: Path) -> None:
    """Take a mount away, if there is one; who still uses it keeps it until he ends."""
    if _is_ours(where):
        subprocess.run(
            [_FUSERMOUNT, "-u", "-z", "-q", where],
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
        )


def _is_ours(where: Path) -> bool:
    """Whether one of our mounts is there, also one whose process was killed."""
    # proc(5): mount point in the fifth field, blanks as octal; the type after a dash.
    # The kernel names no links; what is mounted may be dead, and is not looked at.
    real = where.parent.resolve() / where.name
    place = str(real).replace("\\", r"\134").replace(" ", r"\040")
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as mounts:  # noqa: PTH123
        fields = [line.split(" ") for line in mounts]
    return any(
        one[4] == place and one[one.index("-") + 1] == f"fuse.{SUBTYPE}"
        for one in fields
    )
