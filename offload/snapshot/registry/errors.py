"""What can go wrong between a store here and a registry elsewhere."""

from __future__ import annotations

from facility.errors import UsageError
from offload.snapshot.errors import SnapshotError


class RegistryError(SnapshotError):
    """Base: the registry did not do what was asked."""


class RegistryAwayError(RegistryError):
    """It cannot be reached, or is out of order: later it may work, as it is."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        """Seconds the registry itself asked to wait, if it did."""


class RegistryRefusedError(RegistryError):
    """It answers and says no: not logged in, no right, read-only, over its quota.

    Somebody has to change something; then the same request works.
    """


class RegistryMissingError(RegistryError, UsageError):
    """The registry has no such image."""


class RegistryAddressError(RegistryError, UsageError):
    """The URL, or the file with its credentials, is not what it should be."""
