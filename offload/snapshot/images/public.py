"""The public part of a snapshot as an image of its own, which anybody may have.

It holds the layers of distributions as a public index gives them out, and nothing that
tells whose they were, where they lay or when: two people with the same distributions have
the same image. The interpreter is never in it: no record says what a build of one holds.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from offload.snapshot.images.image import (
    CONFIG_TYPE,
    PUBLIC,
    Image,
    architecture_name,
    descriptor,
    layer_descriptor,
    read_image,
    to_json,
)
from offload.snapshot.model import Blob, Layer
from offload.snapshot.store.local import MANIFEST_TYPE, LocalStore


@dataclass(frozen=True, slots=True)
class PublicImage:
    """An image of public layers; the same for the same layers."""

    manifest: bytes
    config: bytes
    layers: tuple[Layer, ...]

    @property
    def digest(self) -> str:
        """Of the manifest: its name everywhere."""
        return Blob.of(self.manifest).digest

    @property
    def blobs(self) -> tuple[Blob, ...]:
        """The manifest, the configuration, then the layers."""
        layers = (Blob(layer.digest, layer.size) for layer in self.layers)
        return (Blob.of(self.manifest), Blob.of(self.config), *layers)

    @property
    def size(self) -> int:
        """Bytes of all blobs."""
        return sum(blob.size for blob in self.blobs)

    @property
    def tag(self) -> str:
        """Its name in a registry: one image, one tag."""
        return public_tag(self.digest)


def public_tag(image: str) -> str:
    """Return the name in a registry of a public image, by the digest of its manifest."""
    return f"env-{image.partition(':')[2]}"


def public_image(
    image: Image, proven: Collection[str] | None = None
) -> PublicImage | None:
    """Return the image of what is public of a snapshot's; None if nothing is. Pure.

    Args:
        image: of the snapshot.
        proven: digests of the layers that count at most; all that say so if None.
    """
    layers = sorted(
        {
            layer
            for layer in image.layers
            if layer.is_public and (proven is None or layer.digest in proven)
        },
        key=lambda layer: layer.digest,
    )
    if not layers:
        return None
    # Sorted, for no layer hides anything of another: the order says nothing.
    config = to_json(
        {
            "architecture": architecture_name(image.snapshot.base.architecture),
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [each.diff_id for each in layers]},
        }
    )
    manifest = to_json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "annotations": {PUBLIC: "1"},
            "config": descriptor(CONFIG_TYPE, Blob.of(config)),
            "layers": [layer_descriptor(each) for each in layers],
        }
    )
    return PublicImage(manifest, config, tuple(layers))


def write_public_image(
    store: LocalStore, image: str, proven: Collection[str] | None = None
) -> PublicImage | None:
    """Put the public image of a snapshot's into its store; None if nothing is public.

    It is no image of the store's own: garbage collection takes it, and it can always be
    written again.

    Args:
        store: with the snapshot's image.
        image: digest of that one's manifest.
        proven: see :func:`public_image`.

    Raises:
        MissingError: the store does not have the image.
        DamagedError: it is not the image of a snapshot.
        NoSpaceError: the disk is full.
    """
    public = public_image(read_image(store, image), proven)
    if public is not None:
        store.add(public.config)
        store.add(public.manifest)
    return public
