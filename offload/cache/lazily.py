"""Snapshots whose published layers are not here yet: read lazily, or fetched there.

A job that starts before the layers of its environment are here whole sees links into a
mount of the published image, which holds those of its layers that a repository has.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from pathlib import Path

from offload.cache.composing import compose_lazily
from offload.cache.errors import CacheError, MissingBlobsError, as_ours
from offload.cache.reading.cache import RepositoryCache
from offload.cache.reading.choosing import Way, choose
from offload.cache.reading.estimating import situation
from offload.cache.reading.paths import image_path, layer_path
from offload.cache.site import SiteCache
from offload.snapshot.images.image import Image, read_image
from offload.snapshot.images.public import PublicImage, public_image
from offload.snapshot.tree import Kind


def published_of(image: Image, repository: RepositoryCache) -> PublicImage | None:
    """Return the published image of what a repository has of a snapshot's layers.

    Raises:
        CacheError: the repository's catalogues cannot be had.
    """
    view = repository.view()
    there = {
        layer.digest
        for layer in image.layers
        if layer.is_public and view.find(layer_path(layer.digest)) is not None
    }
    public = public_image(image, there)
    if public is None or view.find(image_path(public.digest)) is None:
        return None
    return public


def lazily_is_sooner(
    repository: RepositoryCache, image: str, layers: Collection[str]
) -> bool:
    """Whether a job has what it needs of an image sooner if it reads it lazily.

    Args:
        repository: that it is read of.
        image: digest of its manifest.
        layers: digests of its layers that are not here.
    """
    try:
        at = situation(repository, image, can_mount=True, layers=layers)
    except CacheError:  # it is not there as a whole yet, or its bundle is damaged
        return False
    return choose(at).way is Way.LAZY


def trees_of_links(
    site: SiteCache,
    repository: RepositoryCache,
    snapshot: str,
    show: Callable[[str], Path],
    folder: Path,
) -> dict[str, Path] | None:
    """Make the trees of a snapshot that a job reads lazily.

    Args:
        site: has all that is not published of it.
        repository: has the rest.
        snapshot: digest of its image.
        show: has a published image mounted; returns where the job sees it.
        folder: of the job, for trees.

    Returns:
        the trees by role; None if the repository has no image with what is lacking.

    Raises:
        MissingBlobsError: neither has some of it.
        CacheError: it is damaged, cannot be had or shown, or does not fit.
    """
    with as_ours():
        image = read_image(site.store, snapshot)
        public = published_of(image, repository)
        if public is None:
            return None
        layers = {layer.digest for layer in public.layers}
        others = {layer.digest for layer in image.layers} - layers
        if missing := {digest for digest in others if not site.has(digest)}:
            raise MissingBlobsError(missing)
        top = show(public.digest)
        for part in image.snapshot.parts:
            for digest in others.intersection(part.layers):
                site.ensure_layer(digest)
        above = os.fsencode(top) + b"/"
        rows = repository.view().walk(image_path(public.digest))
        return compose_lazily(
            site.work,
            site.layers,
            image,
            site.store,
            layers,
            {path: above + path for path, row in rows if row.kind is Kind.FILE},
            top,
            folder,
        )


def lacking(site: SiteCache, snapshot: str) -> list[str]:
    """Return the digests of a snapshot's public layers that are not here.

    Raises:
        CacheError: the snapshot's manifest is damaged, or not here either.
    """
    with as_ours():
        layers = read_image(site.store, snapshot).layers
    return [x.digest for x in layers if x.is_public and not site.has(x.digest)]


def fetch_whole(site: SiteCache, repository: RepositoryCache, snapshot: str) -> None:
    """Fetch what a snapshot lacks and a repository has; have its trees made of that.

    Raises:
        MissingBlobsError: neither has some of it.
        CacheError: it is damaged, cannot be had, or does not fit.
    """
    for digest in lacking(site, snapshot):
        folder = repository.layer(digest)
        if folder is not None:
            site.layers.adopt(digest, folder)
    site.ensure_image(snapshot)
