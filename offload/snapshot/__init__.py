"""Freezes a working folder with its environment, as it is at one moment."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

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

_MODULES = {
    "Base": "offload.snapshot.base",
    "changes_since": "offload.snapshot.changes",
    "scan": "offload.snapshot.changes",
    "Difference": "offload.snapshot.comparison",
    "difference": "offload.snapshot.comparison",
    "ChangingError": "offload.snapshot.errors",
    "DamagedError": "offload.snapshot.errors",
    "MissingError": "offload.snapshot.errors",
    "NoSpaceError": "offload.snapshot.errors",
    "SnapshotError": "offload.snapshot.errors",
    "UnreadableError": "offload.snapshot.errors",
    "UnsafeLayerError": "offload.snapshot.errors",
    "freeze": "offload.snapshot.freezing",
    "Collected": "offload.snapshot.images.garbage",
    "collect_garbage": "offload.snapshot.images.garbage",
    "blobs": "offload.snapshot.images.image",
    "load": "offload.snapshot.images.image",
    "manifest": "offload.snapshot.images.manifests",
    "verify": "offload.snapshot.images.verification",
    "entries": "offload.snapshot.layers.reading",
    "unpack": "offload.snapshot.layers.unpacking",
    "Blob": "offload.snapshot.model",
    "Part": "offload.snapshot.model",
    "Request": "offload.snapshot.model",
    "Snapshot": "offload.snapshot.model",
    "Progress": "offload.snapshot.progress",
    "Finding": "offload.snapshot.secrets.finding",
    "SecretsFoundError": "offload.snapshot.secrets.finding",
    "LocalStore": "offload.snapshot.store.local",
    "Entry": "offload.snapshot.tree",
    "Kind": "offload.snapshot.tree",
    "Tree": "offload.snapshot.tree",
}


def __getattr__(name: str) -> Any:
    # Who imports one module of this package must not pay for all of them.
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_MODULES[name]), name)
    return found
