"""What can go wrong with what a site keeps, each with what a program needs to react."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from facility.errors import FacilityError
from facility.text import counted
from offload.snapshot import NoSpaceError as NoSpaceForSnapshotError
from offload.snapshot import SnapshotError


class CacheError(FacilityError):
    """The site's cache cannot do what was asked."""


class NoSpaceError(CacheError):
    """The disk, or the quota, is full. What was received before is kept."""


class OffsetError(CacheError):
    """Bytes were offered for another place than the next one."""

    def __init__(self, digest: str, offset: int, expected: int) -> None:
        super().__init__(
            f"blob {digest[:19]}: expected bytes from {expected:,} on, got {offset:,}"
        )
        self.expected = expected
        """Where to go on: the number of bytes received so far."""


class DigestError(CacheError):
    """What was received is not what its name says. It is dropped."""


class MissingBlobsError(CacheError):
    """Blobs of a snapshot were never received, or are gone again."""

    def __init__(self, missing: Collection[str]) -> None:
        first = min(missing)
        super().__init__(
            f"not here: {counted(len(missing), 'blob')} of the snapshot, such as "
            f"{first[:19]}"
        )
        self.missing = tuple(sorted(missing))


class DamagedTreeError(CacheError):
    """Layers do not hold what the snapshot's manifest lists."""


@contextmanager
def as_ours() -> Iterator[None]:
    """Raise what a snapshot's own room says as the cache's errors."""
    try:
        yield
    except NoSpaceForSnapshotError as error:
        raise NoSpaceError(str(error)) from None
    except SnapshotError as error:
        raise CacheError(str(error)) from None
