"""What waiting jobs lack of their snapshots: asked for again."""

from __future__ import annotations

from contextlib import suppress

from offload.cache.errors import CacheError, as_ours
from offload.cache.site import SiteCache
from offload.snapshot.images.image import read_image
from offload.snapshot.model import Blob


def fetch_pinned(site: SiteCache) -> None:
    """Begin to fetch what pinned snapshots lack and a repository has.

    It was to come already: but who was to fetch it may have been killed, or have failed,
    and a job whose node cannot read it waits. What is read lazily is left alone.
    """
    for image in site.pins.images():
        with suppress(CacheError):  # it is damaged: its own job is told
            lacking = set(site.missing_of(image))
            if lacking and image not in lacking:
                with as_ours():
                    layers = read_image(site.store, image).layers
                public = [x for x in layers if x.is_public and x.digest in lacking]
                blobs = [Blob(layer.digest, layer.size) for layer in public]
                site.missing(blobs, {blob.digest for blob in blobs})
