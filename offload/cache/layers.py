"""Layers, unpacked once each: folders named by digest, that nobody writes to."""

from __future__ import annotations

import errno
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from offload.cache.errors import CacheError, NoSpaceError
from offload.cache.linking import link_tree
from offload.cache.locking import alone_for
from offload.cache.measuring import enter_and_measure
from offload.cache.receiving import room
from offload.cache.removal import remove_tree
from offload.snapshot import NoSpaceError as NoSpaceForSnapshotError
from offload.snapshot import SnapshotError
from offload.snapshot.layers.unpacking import unpack


class UnpackedLayers:
    """``FOLDER/HEX`` with ``HEX.size`` (bytes on disk) beside it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, digest: str) -> Path:
        """Return where a layer is, or would be."""
        return self._folder / digest.removeprefix("sha256:")

    def has(self, digest: str) -> bool:
        """Whether the layer is there, whole."""
        return self.path(digest).exists()

    def ensure(self, digest: str, blob: Path) -> Path:
        """Unpack a layer if nobody has; return where it is.

        Of several on one machine one works and the others wait; of several machines
        each may work, and the first to end counts. Killed, it leaves a draft that is
        never taken for a layer.

        Raises:
            NoSpaceError: the disk is full; nothing of the layer is left.
            CacheError: the blob is no safe layer.
        """
        place = self.path(digest)
        if place.exists():
            return place
        with room(self._folder), alone_for(place):
            if not place.exists():
                self._unpack(blob, digest, place)
        return place

    def adopt(self, digest: str, folder: Path) -> Path:
        """Take over a layer that lies unpacked elsewhere; return where it is here.

        Its files are linked, or copied where they cannot be.

        Raises:
            NoSpaceError: the disk is full; nothing of the layer is left.
        """
        place = self.path(digest)
        with room(self._folder), alone_for(place):
            if not place.exists():
                self._put(place, lambda draft: link_tree(folder, draft))
        return place

    def size(self, digest: str) -> int:
        """Return a layer's bytes on disk; 0 if it is not there."""
        try:
            return int(self.path(digest).with_suffix(".size").read_text())
        except (FileNotFoundError, ValueError):
            return 0

    def digests(self) -> Iterator[str]:
        """Yield the digest of every layer there is."""
        if self._folder.exists():
            for path in self._folder.iterdir():
                if "." not in path.name:
                    yield f"sha256:{path.name}"

    def _unpack(self, blob: Path, digest: str, place: Path) -> None:
        self._put(place, lambda draft: unpack(blob, draft, digest=digest))

    def _put(self, place: Path, make: Callable[[Path], object]) -> None:
        draft = self._folder / f".{place.name}.{secrets.token_hex(4)}.draft"
        try:
            with room(self._folder):
                make(draft)
                size = enter_and_measure(draft)
                place.with_suffix(".size").write_text(str(size))
            try:
                draft.rename(place)
            except OSError as error:
                if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                    raise
        except NoSpaceForSnapshotError as error:
            raise NoSpaceError(str(error)) from None
        except SnapshotError as error:
            raise CacheError(f"layer {place.name[:12]}: {error}") from None
        finally:
            with suppress(FileNotFoundError):
                remove_tree(draft)
