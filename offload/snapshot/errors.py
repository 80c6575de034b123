"""What can go wrong with a snapshot."""

from __future__ import annotations

from facility.errors import FacilityError, UsageError


class SnapshotError(FacilityError):
    """Base of the errors of this package: one line on what, where and what to do."""


class SelectionError(SnapshotError, UsageError):
    """What was asked to be frozen cannot be: no such folder, or far too much."""


class EnvironmentCutError(SnapshotError, UsageError):
    """The Python environment cannot travel."""
