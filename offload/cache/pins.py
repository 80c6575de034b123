"""Which snapshots pods need: a file per pod, so that no clean-up takes theirs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from offload.cache.errors import CacheError
from offload.cache.receiving import room
from offload.cache.writing import replace_file

_UID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class Pins:
    """Files named by pods' UIDs, each with the images that its pod uses."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, uid: str, images: tuple[str, ...]) -> None:
        """Keep these images until :meth:`remove`; again is fine.

        Raises:
            CacheError: the UID cannot be the name of a file.
            NoSpaceError: the disk is full; what was kept still is.
        """
        path = self._path(uid)
        with room(self._folder):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            replace_file(path, json.dumps(sorted(images)).encode())

    def remove(self, uid: str) -> None:
        """Forget what a pod needed; no error if nothing is known."""
        self._path(uid).unlink(missing_ok=True)

    def of(self, uid: str) -> tuple[str, ...]:
        """Return the images that a pod needs; none if nothing is known."""
        try:
            return tuple(json.loads(self._path(uid).read_bytes()))
        except FileNotFoundError:
            return ()

    def forget(self, is_needed: Callable[[str], bool], before: float) -> None:
        """Forget pods that have vanished.

        Args:
            is_needed: whether there is a pod of a UID, or may be.
            before: Unix time; who was added since may only be about to be known.
        """
        for path in self._folder.glob("[!.]*"):
            if path.stat().st_mtime < before and not is_needed(path.name):
                path.unlink()

    def images(self) -> frozenset[str]:
        """Return every image that a pod needs."""
        found: set[str] = set()
        for path in self._folder.glob("[!.]*"):
            try:
                found.update(json.loads(path.read_bytes()))
            except FileNotFoundError:
                continue  # removed between the two looks
        return frozenset(found)

    def _path(self, uid: str) -> Path:
        if not _UID.fullmatch(uid):
            raise CacheError(
                f"name of a job {uid[:80]!r}: expected letters, digits, - and ."
            )
        return self._folder / uid
