"""Freezes a working folder with its environment, as it is at one moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offload.lazy import lazily

if TYPE_CHECKING:
    from offload.snapshot.base import Base
    from offload.snapshot.changes import changes_since, scan
    from offload.snapshot.comparison import Difference, difference
    from offload.snapshot.errors import (
        ChangingError,
        DamagedError,
        MissingError,
        NoSpaceError,
        SnapshotError,
        UnreadableError,
        UnsafeLayerError,
    )
    from offload.snapshot.freezing import freeze
    from offload.snapshot.images.garbage import Collected, collect_garbage
    from offload.snapshot.images.image import blobs, load
    from offload.snapshot.images.manifests import manifest
    from offload.snapshot.images.verification import verify
    from offload.snapshot.layers.reading import entries
    from offload.snapshot.layers.unpacking import unpack
    from offload.snapshot.model import Blob, Part, Request, Snapshot
    from offload.snapshot.progress import Progress
    from offload.snapshot.secrets.finding import Finding, SecretsFoundError
    from offload.snapshot.store.local import LocalStore
    from offload.snapshot.tree import Entry, Kind, Tree

__all__ = [
    "Base",
    "Blob",
    "ChangingError",
    "Collected",
    "DamagedError",
    "Difference",
    "Entry",
    "Finding",
    "Kind",
    "LocalStore",
    "MissingError",
    "NoSpaceError",
    "Part",
    "Progress",
    "Request",
    "SecretsFoundError",
    "Snapshot",
    "SnapshotError",
    "Tree",
    "UnreadableError",
    "UnsafeLayerError",
    "blobs",
    "changes_since",
    "collect_garbage",
    "difference",
    "entries",
    "freeze",
    "load",
    "manifest",
    "scan",
    "unpack",
    "verify",
]

__getattr__ = lazily(
    __name__,
    {
        "base": "Base",
        "changes": "changes_since scan",
        "comparison": "Difference difference",
        "errors": (
            "ChangingError DamagedError MissingError NoSpaceError SnapshotError "
            "UnreadableError UnsafeLayerError"
        ),
        "freezing": "freeze",
        "images.garbage": "Collected collect_garbage",
        "images.image": "blobs load",
        "images.manifests": "manifest",
        "images.verification": "verify",
        "layers.reading": "entries",
        "layers.unpacking": "unpack",
        "model": "Blob Part Request Snapshot",
        "progress": "Progress",
        "secrets.finding": "Finding SecretsFoundError",
        "store.local": "LocalStore",
        "tree": "Entry Kind Tree",
    },
)
