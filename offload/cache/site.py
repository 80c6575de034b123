"""What a site keeps of snapshots: blobs in, layers unpacked once, read-only trees.

Works on any shared file system, for a plugin and for the wrappers of its jobs at the
same time. All methods block; who serves others calls them in threads.

Below the work area: ``store`` (an OCI image layout), ``incoming``, ``layers/HEX``,
``trees/HEX`` (HEX of the tree's digest), ``images/HEX.json`` (which trees make a
snapshot; it is there when all of them are), ``pins/UID``, ``trash``.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from offload.cache.background import Background
from offload.cache.collection import Collector, Freed
from offload.cache.composing import compose, image_path, is_ready
from offload.cache.elsewhere import FetchedLayers, MountedLayers, Repository
from offload.cache.errors import MissingBlobsError, NoSpaceError, as_ours
from offload.cache.layers import UnpackedLayers
from offload.cache.pins import Pins
from offload.cache.receiving import Incoming, Missing, room
from offload.snapshot import Blob, LocalStore, Snapshot
from offload.snapshot.images.image import Image, is_public, read_image

_THREADS = 4
"""Layers unpacked at the same time: decompression and hashing release the lock."""

_ZSTD = b"\x28\xb5\x2f\xfd"
"""How a frame begins (RFC 8878, section 3.1.1)."""


class SiteCache:
    """Snapshots at a site.

    Args:
        work: the site's work area.
        quota_bytes: what all of it may take; ``None`` leaves it to the disk.
        is_eager: unpack what arrives at once, in threads of its own. For a plugin; a
            job's wrapper unpacks what is lacking when it needs it.
        mount: where the site mounts the repository of published environments, on every
            node; jobs read the layers that it has from there.
        repository: the same, read over the network. For a plugin.
        is_sooner: whether a job has what it needs of an image of that repository sooner
            if it is read lazily, by the image's digest and those of the layers that are
            not here; then these need not be here for it to start.
        can_mount: whether jobs still can; where not, all of it comes at once.

    Raises:
        NoSpaceError: there is no room for the first files.
    """

    def __init__(
        self,
        work: Path,
        *,
        quota_bytes: int | None = None,
        is_eager: bool = False,
        mount: Path | None = None,
        repository: Repository | None = None,
        is_sooner: Callable[[str, Collection[str]], bool] | None = None,
        can_mount: Callable[[], bool] = lambda: True,
    ) -> None:
        self.work = work
        self._ahead = Background() if is_eager else None
        self._quota_bytes = quota_bytes
        with as_ours():
            self.store = LocalStore(work / "store")
        self.layers = UnpackedLayers(work / "layers")
        self._mounted = None if mount is None else MountedLayers(mount)
        self._fetched = (
            None
            if repository is None
            else FetchedLayers(
                repository, self.layers.adopt, is_sooner=is_sooner, can_mount=can_mount
            )
        )
        self.pins = Pins(work / "pins")
        self._collector = Collector(work, self.store, self.layers, self.pins)

    # What comes in.

    def missing(
        self,
        blobs: Iterable[Blob],
        public: Collection[str] = frozenset(),
        image: str = "",
    ) -> list[Missing]:
        """Return which of these are not here, and how much of each is.

        Args:
            blobs: which.
            public: digests of layers that a repository of published environments may
                have; those that it does begin to come.
            image: digest of the published image that these are the layers of, if any
                is; a job may read it lazily, and then they are not missing.
        """
        lacking = [b for b in blobs if not self.has(b.digest, b.digest in public)]
        wanted = {blob.digest for blob in lacking} & set(public)
        coming: frozenset[str] = frozenset()
        if self._fetched and wanted:
            coming = self._fetched.fetch(wanted, image)
            lacking = [b for b in lacking if not self._is_read_lazily(b.digest)]
        return [
            Missing(
                blob.digest,
                self.incoming(blob.digest, blob.size).offset,
                blob.digest in coming,
            )
            for blob in lacking
            if blob.digest not in coming or not self.has(blob.digest)  # by now
        ]

    def has(self, digest: str, is_public: bool = False) -> bool:
        """Whether a blob is here; what is unpacked needs no blob any more.

        Args:
            digest: which.
            is_public: whether it is a layer that a mounted repository may have.
        """
        with as_ours():
            if self.layers.has(digest) or self.store.has(digest):
                return True
            return is_public and self._mount_of(digest) is not None

    def incoming(self, digest: str, length: int) -> Incoming:
        """Return a blob to append to.

        Raises:
            CacheError: that is no digest.
        """
        with as_ours():
            place = self.store.blob_path(digest)
        draft = self.work / "incoming" / place.name
        return Incoming(draft, place, digest, length, self._arrived)

    def _arrived(self, digest: str) -> None:
        blob = self.store.blob_path(digest)
        if self._ahead is not None and _is_layer(blob):
            self._ahead.do(digest, lambda: self.layers.ensure(digest, blob))

    def missing_of(self, image: str) -> tuple[str, ...]:
        """Return which blobs a snapshot lacks to be used, as far as can be told.

        Without its manifest that is the manifest alone. A snapshot that lacks nothing
        is made ready ahead of time, if this cache is eager.
        """
        if self.is_ready(image):
            return ()
        missing = self._missing_of(image)
        if not missing and self._ahead is not None:
            self._ahead.do(image, lambda: self.ensure_image(image))
        return tuple(each for each in missing if not self._is_read_lazily(each))

    def _missing_of(self, image: str) -> tuple[str, ...]:
        with as_ours():
            if not self.store.has(image):
                return (image,)
            document = json.loads(self.store.read(image))
        wanted = [document["config"], *document["layers"]]
        return tuple(
            b["digest"] for b in wanted if not self.has(b["digest"], is_public(b))
        )

    def make_room(self, size: int) -> None:
        """Make room for so many bytes more, from what no pod uses, oldest first.

        Raises:
            NoSpaceError: the rest is in use.
        """
        freed = self._collect(size)
        if freed.lacking > 0 and self._fetched is not None:
            # What can be read again gives way to what somebody sends.
            self._fetched.make_room(size)
            freed = self._collect(size)
        if freed.lacking > 0:
            raise NoSpaceError(
                f"{self.work}: {size:,} bytes do not fit, {freed.lacking:,} are "
                "lacking; all the rest is used by pods"
            )

    # What is used.

    def is_ready(self, image: str) -> bool:
        """Whether every tree of a snapshot is there, and what its links lead to."""
        return is_ready(image_path(self.work, image))

    def pin(self, uid: str, images: Iterable[str]) -> None:
        """Keep snapshots for a pod, whether they are here yet or not.

        Do this before asking what is missing: from then on nothing is taken away.

        Raises:
            CacheError: the UID is none.
        """
        named = tuple(images)
        with self._alone():
            self.pins.add(uid, named)
            for image in named:
                if self.is_ready(image):
                    os.utime(image_path(self.work, image))

    def unpin(self, uid: str) -> None:
        """Forget a pod's need; again is fine."""
        self.pins.remove(uid)
        if self._fetched is not None:
            self._fetched.unpin(uid)

    def forget_pods(self, is_known: Callable[[str], bool], before: float) -> None:
        """Forget pods that have vanished; see :meth:`Pins.forget`."""
        with self._alone():
            self.pins.forget(is_known, before)
        if self._fetched is not None:
            self._fetched.forget_pods(is_known, before)

    def ensure_layer(self, digest: str) -> None:
        """Unpack a layer that was received, while others are still on their way.

        Raises:
            CacheError: it is no layer; the blob is dropped.
            NoSpaceError: the disk is full.
        """
        blob = self.store.blob_path(digest)
        if not self.layers.has(digest):
            self.layers.ensure(digest, blob)
        blob.unlink(missing_ok=True)

    def ensure_image(self, image: str) -> Snapshot:
        """Unpack and link whatever a snapshot needs; return it.

        Raises:
            MissingBlobsError: blobs are not here.
            NoSpaceError: the disk is full; what was unpacked is kept.
            CacheError: the snapshot is damaged.
        """
        is_ready = self.is_ready(image)
        missing = () if is_ready else self._missing_of(image)
        if missing:
            raise MissingBlobsError(missing)
        with as_ours():
            found = read_image(self.store, image)
            if not is_ready:
                compose(self.work, self.layers, found, self.store, self._unpack(found))
        return found.snapshot

    def _unpack(self, image: Image) -> dict[str, Path]:
        """Unpack what was received; return where the layers are that were not."""
        mounted = {
            layer.digest: folder
            for layer in image.layers
            if layer.is_public
            and not self.layers.has(layer.digest)
            and not self.store.has(layer.digest)
            and (folder := self._mount_of(layer.digest)) is not None
        }
        parts = image.snapshot.parts
        needed = dict.fromkeys(d for part in parts for d in part.layers)
        with ThreadPoolExecutor(_THREADS, "unpack") as pool:
            # A list, so that the first error is raised after all have ended.
            list(pool.map(self.ensure_layer, needed.keys() - mounted.keys()))
        return mounted

    def _is_read_lazily(self, digest: str) -> bool:
        return self._fetched is not None and self._fetched.is_read_lazily(digest)

    def _mount_of(self, digest: str) -> Path | None:
        return None if self._mounted is None else self._mounted.folder(digest)

    def collect(self) -> Freed:
        """Bring the cache below its quota; never touch what a pod uses."""
        return self._collect(0)

    def _collect(self, wanted: int) -> Freed:
        with self._alone():
            freed = self._collector.collect(self._quota_bytes, wanted=wanted)
        self._collector.empty_trash()
        return freed

    @contextmanager
    def _alone(self) -> Iterator[None]:
        path = self.work / "cache.lock"
        with room(self.work), path.open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _is_layer(blob: Path) -> bool:
    """Whether a blob is compressed, as layers are and nothing else of an image is."""
    try:
        with blob.open("rb") as file:
            return file.read(4) == _ZSTD
    except FileNotFoundError:
        return False
