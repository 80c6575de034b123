"""What a site's cache gives up, and when: what no pod uses, longest unused first."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from offload.cache.layers import UnpackedLayers
from offload.cache.pins import Pins
from offload.cache.removal import remove_tree, throw_away
from offload.snapshot import LocalStore

YOUNG_S = 3600.0
"""What no snapshot names is left alone for so long: it may be on its way in."""
ABANDONED_S = 7 * 86400.0
"""A half-received blob that nobody went on with for so long is dropped."""


@dataclass(frozen=True, slots=True)
class KeptImage:
    """A snapshot in the cache."""

    digest: str
    layers: frozenset[str]
    trees: frozenset[str]
    used: float
    """When a pod last asked for it: Unix time."""
    is_pinned: bool


@dataclass(frozen=True, slots=True)
class Freed:
    """What a collection did."""

    images: tuple[str, ...]
    """Snapshots that were given up."""
    freed: int
    """Bytes."""
    lacking: int
    """Bytes that could not be freed, all else being used; 0 mostly."""


def choose_victims(
    images: Sequence[KeptImage], sizes: Mapping[str, int], excess: int
) -> tuple[KeptImage, ...]:
    """Return which snapshots to give up so that ``excess`` bytes become free.

    Pure. A layer counts only once no kept snapshot uses it. Pinned ones are never
    chosen; if all others are not enough, all others are.
    """
    kept = list(images)
    victims: list[KeptImage] = []
    for image in sorted(images, key=lambda i: (i.used, i.digest)):
        if excess <= 0:
            break
        if image.is_pinned:
            continue
        kept.remove(image)
        still_used = frozenset().union(*(other.layers for other in kept))
        excess -= sum(sizes.get(d, 0) for d in image.layers - still_used)
        victims.append(image)
    return tuple(victims)


class Collector:
    """Removes snapshots, layers and trees. One at a time: the caller holds a lock."""

    def __init__(
        self, work: Path, store: LocalStore, layers: UnpackedLayers, pins: Pins
    ) -> None:
        self._work = work
        self._store = store
        self._layers = layers
        self._pins = pins

    def collect(self, quota_bytes: int | None, *, wanted: int = 0) -> Freed:
        """Free what is above the quota, or what the disk lacks for ``wanted`` bytes.

        In an order that a kill does no harm to: first a snapshot is not ready any
        more, then its trees and layers go, each in one step into ``trash``.
        """
        images = self._kept()
        sizes = {digest: self._layers.size(digest) for digest in self._layers.digests()}
        blobs = {digest: self._store.blob(digest).size for digest in self._digests()}
        total = sum(sizes.values()) + sum(blobs.values())
        excess = wanted - shutil.disk_usage(self._work).free
        if quota_bytes is not None:
            excess = max(excess, total + wanted - quota_bytes)
        victims = choose_victims(images, sizes, excess)
        rest = [image for image in images if image not in victims]
        for victim in victims:
            self._document(victim.digest).unlink(missing_ok=True)
        freed = self._drop_unused(rest, victims, sizes, blobs)
        self._drop_abandoned()
        return Freed(
            tuple(sorted(v.digest for v in victims)), freed, max(0, excess - freed)
        )

    def empty_trash(self) -> None:
        """Delete what was given up; needs no lock."""
        for path in self._trash().glob("*"):
            with suppress(FileNotFoundError):
                remove_tree(path)

    def _kept(self) -> list[KeptImage]:
        pinned = self._pins.images()
        images: list[KeptImage] = []
        for path in (self._work / "images").glob("[!.]*.json"):
            digest = f"sha256:{path.stem}"
            try:
                parts = json.loads(path.read_bytes())["parts"]
                used = path.stat().st_mtime
            except FileNotFoundError:
                continue
            images.append(
                KeptImage(
                    digest,
                    frozenset(d for part in parts for d in part["layers"]),
                    frozenset(part["tree"] for part in parts),
                    used,
                    digest in pinned,
                )
            )
        return images

    def _drop_unused(
        self,
        rest: Iterable[KeptImage],
        victims: Iterable[KeptImage],
        sizes: Mapping[str, int],
        blobs: Mapping[str, int],
    ) -> int:
        """Remove what only victims used, and what nobody has named for long."""
        kept, given_up = list(rest), list(victims)
        blobs_of = self._blobs_of
        needed = frozenset().union(
            *(image.layers | blobs_of(image.digest) for image in kept),
            *(blobs_of(image) for image in self._pins.images()),
        )
        trees = frozenset().union(*(image.trees for image in kept))
        lost = frozenset().union(
            *(v.layers | v.trees | blobs_of(v.digest) for v in given_up)
        )
        freed = 0
        for digest, size in sizes.items():
            path = self._layers.path(digest)
            if digest not in needed and (digest in lost or _is_old(path)):
                throw_away(path, self._trash())
                path.with_suffix(".size").unlink(missing_ok=True)
                freed += size
        for path in (self._work / "trees").glob("[!.]*"):
            if path.name not in trees and (path.name in lost or _is_old(path)):
                throw_away(path, self._trash())
        for digest, size in blobs.items():
            path = self._store.blob_path(digest)
            if digest not in needed and (digest in lost or _is_old(path)):
                path.unlink(missing_ok=True)
                freed += size
        return freed

    def _blobs_of(self, image: str) -> frozenset[str]:
        """Return every blob of a snapshot, as far as its manifest is here."""
        if not self._store.has(image):
            return frozenset([image])
        document = json.loads(self._store.read(image))
        blobs = [document["config"], *document["layers"]]
        return frozenset([image, *(blob["digest"] for blob in blobs)])

    def _drop_abandoned(self) -> None:
        now = time.time()
        # What is being made, and locks that killed processes have left: all hidden.
        for name in ("images", "layers", "pins", "trees"):
            for path in (self._work / name).glob(".*"):
                if _is_old(path):
                    throw_away(path, self._trash())
        for path in (self._work / "incoming").glob("*"):
            with suppress(FileNotFoundError):
                if now - path.stat().st_mtime > ABANDONED_S:
                    path.unlink()

    def _digests(self) -> list[str]:
        return list(self._store.digests())

    def _document(self, digest: str) -> Path:
        return self._work / "images" / f"{digest.removeprefix('sha256:')}.json"

    def _trash(self) -> Path:
        return self._work / "trash"


def _is_old(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_ctime > YOUNG_S
    except FileNotFoundError:
        return False
