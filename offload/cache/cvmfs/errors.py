"""What can go wrong with a repository, each with what a program needs to react."""

from __future__ import annotations

import sqlite3

from offload.cache.errors import CacheError


class RepositoryError(CacheError):
    """A repository cannot do what was asked, or is not what it should be."""


class DamagedObjectError(RepositoryError):
    """The bytes of an object are not those that its name stands for."""


class UntrustedError(RepositoryError):
    """A signed file is forged, expired, or of another repository."""


class RefusedItemError(RepositoryError):
    """Something to be published must not or cannot stand in a repository."""


class RepositoryBusyError(RepositoryError):
    """Somebody else writes to the repository at this moment."""


DISK_IS_FULL = "the repository's disk is full; nothing was published"


def is_full(error: sqlite3.Error) -> bool:
    """Whether SQLite means that the disk is full, or fails: of both it says either."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}


def is_busy(error: sqlite3.Error) -> bool:
    """Whether SQLite means that others use the file, for too long."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
