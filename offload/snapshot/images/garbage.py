"""Deletes what no kept snapshot needs."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from offload.snapshot.images.image import blobs
from offload.snapshot.store.local import LocalStore

GRACE_S = 3600.0
"""Age up to which an image is kept in any case: who froze it may not yet have said so."""


@dataclass(frozen=True, slots=True)
class Collected:
    """What was deleted."""

    images: int
    blobs: int
    size: int
    """Bytes."""


def collect_garbage(
    store: LocalStore, keep: Iterable[str], *, grace_s: float = GRACE_S
) -> Collected:
    """Delete images and all that only they need; waits until no freeze is under way.

    May be killed at any time: what is left of a deleted image goes the next time.

    Args:
        store: where.
        keep: image digests; those that the store does not have are fine.
        grace_s: younger images are kept too.

    Raises:
        DamagedError: a kept image cannot be read, so it is not known what it needs;
            nothing was deleted.
    """
    with store.alone():
        images = set(store.images())
        oldest = time.time() - grace_s
        kept = images & set(keep) | {
            image
            for image in images
            if store.has(image) and store.blob_path(image).stat().st_mtime > oldest
        }
        needed = {
            blob.digest
            for image in kept
            if store.has(image)
            for blob in blobs(image, store)
        }
        # The index first: no image is ever listed that is not whole.
        store.keep_images(frozenset(kept))
        sizes = [
            store.drop(each) for each in list(store.digests()) if each not in needed
        ]
    return Collected(len(images - kept), len(sizes), sum(sizes))


def drop_unused(store: LocalStore, digests: Iterable[str]) -> None:
    """Delete those of some blobs that no image needs; waits as :func:`collect_garbage`.

    For what must not lie about until the next clean-up.
    """
    with store.alone():
        needed = {
            blob.digest
            for image in store.images()
            if store.has(image)
            for blob in blobs(image, store)
        }
        for digest in set(digests) - needed:
            if store.has(digest):
                store.drop(digest)
