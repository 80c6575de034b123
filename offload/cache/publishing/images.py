"""What an image's manifest says. No I/O.

Image Specification 1.1 (opencontainers/image-spec: manifest.md, image-index.md), and the
forms of Docker's "Image Manifest Version 2, Schema 2" that it comes from.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from offload.cache.publishing.errors import NoImageError, PrivateImageError
from offload.cache.publishing.references import is_digest
from offload.snapshot.images.image import LABEL
from offload.snapshot.model import Blob

PUBLIC = "analysis-facility.public"
"""Annotation of a manifest: ``1`` says that everybody may see all of the image."""
LARGEST_MANIFEST = 4 << 20
"""Bytes (Distribution Specification 1.1, "Pushing manifests")."""
MOST_LAYERS = 1000

_IMAGES = {
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
}
_INDEXES = {
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
}
ACCEPT = ", ".join(sorted(_IMAGES | _INDEXES))
_CONFIGS = {
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
}


@dataclass(frozen=True, slots=True)
class Image:
    """One image for one kind of machine."""

    digest: str
    """Of its manifest: its identity."""
    manifest: bytes
    config: Blob
    layers: tuple[Blob, ...]
    """The lowest first; one may be there several times."""
    is_public: bool
    """Whether its manifest says so."""

    @property
    def blobs(self) -> tuple[Blob, ...]:
        """Configuration and layers, each once."""
        return tuple(dict.fromkeys((self.config, *self.layers)))

    @property
    def size(self) -> int:
        """Bytes of all blobs."""
        return sum(blob.size for blob in self.blobs)


def digest_of(data: bytes) -> str:
    """Return the digest by which bytes are known."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def read_manifest(data: bytes, architecture: str) -> Image | str:
    """Read a manifest; of an index, return the digest of the image that is meant.

    Args:
        data: the manifest, whose digest was checked.
        architecture: of the machines that will use it, as Go names it: ``amd64``.

    Raises:
        NoImageError: it is something else, or has no image for such machines.
    """
    if len(data) > LARGEST_MANIFEST:
        raise NoImageError(f"a manifest of {len(data):,} bytes")
    try:
        document = json.loads(data)
        kind = str(document.get("mediaType") or _guessed(document))
        if kind in _INDEXES:
            return _chosen(document["manifests"], architecture)
        if kind not in _IMAGES or document["config"]["mediaType"] not in _CONFIGS:
            what = document["config"]["mediaType"] if kind in _IMAGES else kind
            got = document.get("artifactType") or what or "something else"
            raise NoImageError(f"expected a container image, got {got!r}"[:200])
        layers = tuple(_layer(each) for each in document["layers"])
        config = _blob(document["config"])
        annotations = document.get("annotations") or {}
        is_public = annotations.get(PUBLIC) == "1"
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise NoImageError("expected the manifest of a container image") from None
    if len(layers) > MOST_LAYERS:
        raise NoImageError(f"{len(layers):,} layers; expected at most {MOST_LAYERS:,}")
    return Image(digest_of(data), data, config, layers, is_public)


def check_public(image: Image, config: bytes, *, is_wished: bool) -> None:
    """Make sure that an image may be seen by everybody who reads the repository.

    Either it says so itself, or the facility asks for it. The snapshot of a person must
    say so itself, whatever the facility asks for: a pattern that is too wide must not
    show anybody's code.

    Args:
        image: the image.
        config: its configuration.
        is_wished: whether it is on the wish list.

    Raises:
        PrivateImageError: it may not.
        NoImageError: the configuration is none.
    """
    if image.is_public:
        return
    try:
        labels = (json.loads(config).get("config") or {}).get("Labels") or {}
        is_snapshot = LABEL in labels
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise NoImageError("expected the configuration of a container image") from None
    if is_snapshot:
        raise PrivateImageError("a person's snapshot stays private")
    if not is_wished:
        raise PrivateImageError(
            f"neither marked as public (annotation {PUBLIC}=1) nor on the wish list "
            "(`images` in facility.yaml)"
        )


def _guessed(document: dict[str, Any]) -> str:
    """Return what a manifest without a media type is, which OCI allows."""
    if "manifests" in document:
        return "application/vnd.oci.image.index.v1+json"
    if "config" in document and "layers" in document:
        return "application/vnd.oci.image.manifest.v1+json"
    return ""


def _chosen(manifests: list[dict[str, Any]], architecture: str) -> str:
    for each in manifests:
        platform = each.get("platform") or {}
        if (platform.get("os"), platform.get("architecture")) == (
            "linux",
            architecture,
        ):
            return _blob(each).digest
    raise NoImageError(f"has no image for linux/{architecture}")


def _layer(descriptor: dict[str, Any]) -> Blob:
    kind = str(descriptor["mediaType"])
    if "tar" not in kind.rpartition("/")[2].replace("+", ".").split("."):
        raise NoImageError(f"expected layers that are tar archives, got {kind[:100]!r}")
    return _blob(descriptor)


def _blob(descriptor: dict[str, Any]) -> Blob:
    digest, size = descriptor["digest"], descriptor["size"]
    if not isinstance(digest, str) or not is_digest(digest):
        raise NoImageError(f"expected digests sha256:HEX, got {str(digest)[:100]!r}")
    if not isinstance(size, int) or not 0 <= size < 1 << 60:
        raise NoImageError(f"a blob of {str(size)[:30]} bytes")
    return Blob(digest, size)
