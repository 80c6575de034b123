"""What can go wrong between a job's working folder and the person's."""

from __future__ import annotations

from facility.errors import FacilityError, UsageError


class OutputsError(FacilityError):
    """Outputs could not be packed, fetched, landed or merged."""


class PackError(OutputsError):
    """A pack is not what it says it is, or holds what no pack may hold."""


class TooLargeError(OutputsError):
    """A pack holds more than may come home; it is untouched."""


class NoSpaceError(OutputsError):
    """The disk or the quota is full; it goes on from there."""


class InTheWayError(UsageError, OutputsError):
    """Something of the person's is where outputs have to go."""
