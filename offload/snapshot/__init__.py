"""Freezes a working folder with its environment, as it is at one moment."""

from offload.snapshot.base import Base
from offload.snapshot.errors import (
    ChangingError,
    DamagedError,
    MissingError,
    NoSpaceError,
    SnapshotError,
    UnreadableError,
    UnsafeLayerError,
)
from offload.snapshot.model import Blob, Part, Request, Snapshot
from offload.snapshot.progress import Progress
from offload.snapshot.store import LocalStore
from offload.snapshot.tree import Entry, Kind, Tree

__all__ = [
    "Base",
    "Blob",
    "ChangingError",
    "DamagedError",
    "Entry",
    "Kind",
    "LocalStore",
    "MissingError",
    "NoSpaceError",
    "Part",
    "Progress",
    "Request",
    "Snapshot",
    "SnapshotError",
    "Tree",
    "UnreadableError",
    "UnsafeLayerError",
]
