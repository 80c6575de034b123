"""What a name means in its registry now."""

from __future__ import annotations

from dataclasses import dataclass

from offload.cache.publishing.errors import NoImageError
from offload.cache.publishing.images import Image, digest_of, read_manifest
from offload.cache.publishing.references import Reference
from offload.cache.publishing.sources import Source


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a name means in its registry now."""

    told: str
    """Digest of its manifest, or of the index that it has."""
    image: Image


def meaning_of(
    reference: Reference, source: Source, architecture: str
) -> Meaning | None:
    """Ask what a name means; None if it means nothing any more.

    Args:
        reference: the name.
        source: its registry.
        architecture: of the machines that images are for.

    Raises:
        NoImageError: no image for such machines.
        FacilityError: the registry cannot be asked.
    """
    repository, version = reference.repository, reference.version
    manifest = source.manifest(repository, version)
    if manifest is None:
        return None
    told = digest_of(manifest)
    image = read_manifest(manifest, architecture)
    if isinstance(image, str):  # an index: it names the image for our machines
        inner = source.manifest(repository, image)
        if inner is None:
            raise NoImageError(f"its index names {image}, which is not there")
        image = read_manifest(inner, architecture)
        if isinstance(image, str):
            raise NoImageError("its index leads to another index")
    return Meaning(told, image)
