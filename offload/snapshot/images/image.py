"""One snapshot as an OCI image.

Image Specification 1.1 (opencontainers/image-spec: manifest.md, config.md, layer.md).
A path of a part lies in the layers below the part's role: ``code/train.py``. The last
layer holds the tree manifests, ``.facility/ROLE``; the record of the snapshot is a label
of the image's configuration.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from offload.snapshot.errors import DamagedError
from offload.snapshot.model import Blob, Layer, Snapshot
from offload.snapshot.store.local import MANIFEST_TYPE, LocalStore

CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+zstd"
LABEL = "analysis-facility.snapshot"
PUBLIC = "analysis-facility.public"
"""Annotation of layers that anybody may have, and of images of nothing else."""
MANIFESTS = ".facility"
"""Folder in the last layer."""

MAX_LAYERS = 120
"""Container runtimes refuse more than 127."""

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "i686": "386"}
"""As Go names what the kernel names; others have the same name in both."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image as it is in a store."""

    blobs: tuple[Blob, ...]
    """The manifest, the configuration, then the layers, the lowest first."""
    layers: tuple[Layer, ...]
    snapshot: Snapshot

    @property
    def manifests(self) -> Layer:
        """The layer with the tree manifests."""
        return self.layers[-1]


def write_image(
    store: LocalStore, snapshot: Snapshot, layers: Sequence[Layer]
) -> Snapshot:
    """Put a snapshot into a store; return it with the image's digest.

    Args:
        store: where the layers already are.
        snapshot: with no image yet.
        layers: of all parts, and then the one of the manifests.

    Raises:
        NoSpaceError: the disk is full.
    """
    config = {
        "created": snapshot.created,
        "architecture": architecture_name(snapshot.base.architecture),
        "os": "linux",
        "config": {"Labels": {LABEL: replace(snapshot, image="").to_json()}},
        "rootfs": {"type": "layers", "diff_ids": [each.diff_id for each in layers]},
        "history": [
            {"created": snapshot.created, "created_by": "analysis-facility"}
            for _ in layers
        ],
    }
    blob = store.add(to_json(config))
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": descriptor(CONFIG_TYPE, blob),
        "layers": [layer_descriptor(layer) for layer in layers],
    }
    name = snapshot.id.partition(":")[2][:12]
    return snapshot.carried_by(store.add_image(to_json(manifest), name).digest)


def read_image(store: LocalStore, digest: str) -> Image:
    """Read an image's manifest and configuration, both verified.

    Raises:
        MissingError: the store does not have them.
        DamagedError: they are not an image of a snapshot.
    """
    data = store.read(digest)
    try:
        manifest = json.loads(data)
        config_blob = _blob(manifest["config"])
        layer_blobs = [_blob(layer) for layer in manifest["layers"]]
        config = json.loads(store.read(config_blob.digest))
        diff_ids = config["rootfs"]["diff_ids"]
        layers = tuple(
            Layer(blob.digest, blob.size, str(diff_id), is_public=is_public(each))
            for each, blob, diff_id in zip(
                manifest["layers"], layer_blobs, diff_ids, strict=True
            )
        )
        snapshot = Snapshot.from_json(config["config"]["Labels"][LABEL])
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedError(
            f"{digest}: expected the image of a snapshot, got something else ({error})"
        ) from None
    blobs = (Blob(digest, len(data)), config_blob, *layer_blobs)
    return Image(blobs, layers, snapshot.carried_by(digest))


def blobs(image: str | Snapshot, store: LocalStore) -> tuple[Blob, ...]:
    """Return all that an image is made of: manifest, configuration, layers.

    Raises:
        MissingError: the store does not have it.
        DamagedError: it is not the image of a snapshot.
    """
    digest = image.image if isinstance(image, Snapshot) else image
    return tuple(dict.fromkeys(read_image(store, digest).blobs))


def load(image: str, store: LocalStore) -> Snapshot:
    """Return the snapshot that an image carries.

    Raises:
        MissingError: the store does not have it.
        DamagedError: it is not the image of a snapshot.
    """
    return read_image(store, image).snapshot


def architecture_name(architecture: str) -> str:
    """Return what Go, and so an image's configuration, calls an architecture."""
    return _ARCHITECTURES.get(architecture, architecture)


def descriptor(media_type: str, blob: Blob) -> dict[str, Any]:
    """Return how a manifest names a blob."""
    return {"mediaType": media_type, "digest": blob.digest, "size": blob.size}


def layer_descriptor(layer: Layer) -> dict[str, Any]:
    """Return how a manifest names a layer."""
    named = descriptor(LAYER_TYPE, Blob(layer.digest, layer.size))
    return named | {"annotations": {PUBLIC: "1"}} if layer.is_public else named


def to_json(document: object) -> bytes:
    """Return a document of an image: the same bytes for the same content."""
    return json.dumps(document, sort_keys=True).encode()


def is_public(described: dict[str, Any]) -> bool:
    """Whether a manifest says of a layer that anybody may have it."""
    return (described.get("annotations") or {}).get(PUBLIC) == "1"


def _blob(descriptor: dict[str, Any]) -> Blob:
    return Blob(str(descriptor["digest"]), int(descriptor["size"]))
