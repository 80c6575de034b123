"""What can go wrong with a snapshot."""

from __future__ import annotations

from facility.errors import FacilityError, UsageError


class SnapshotError(FacilityError):
    """Base of the errors of this package: one line on what, where and what to do."""


class SelectionError(SnapshotError, UsageError):
    """What was asked to be frozen cannot be: no such folder, or far too much."""


class EnvironmentCutError(SnapshotError, UsageError):
    """The Python environment cannot travel."""


class MissingError(SnapshotError, UsageError):
    """The store has no such snapshot, or the snapshot no such part."""


class UnreadableError(SnapshotError, UsageError):
    """A file that is part of the snapshot may not be read, or cannot be."""


class ChangingError(SnapshotError):
    """A file changed each time it was read: no state of it could be frozen."""


class NoSpaceError(SnapshotError, UsageError):
    """The disk, or the person's quota on it, is full. Nothing half-done is left."""


class DamagedError(SnapshotError):
    """What a store holds is not what it was, or never was what it should be."""


class UnsafeLayerError(SnapshotError):
    """A layer holds what may not be unpacked: it would reach out of its folder."""
