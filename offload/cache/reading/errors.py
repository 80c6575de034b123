"""What can go wrong at a site that reads a repository."""

from __future__ import annotations

from facility.errors import ExitCode
from offload.cache.cvmfs.errors import UntrustedError
from offload.cache.errors import CacheError


class ReadingError(CacheError):
    """The site's cache of a repository cannot do what was asked."""


class UnreachableError(ReadingError):
    """Neither an origin nor a proxy answers, and what is asked for is not here."""

    exit_code = ExitCode.NOT_RUNNING


class AbsentError(ReadingError):
    """The repository has no such path, image or object (yet)."""


class MisnamedError(CacheError):
    """What should name an image does not: somebody mistyped it."""

    exit_code = ExitCode.USAGE


class OlderRevisionError(UntrustedError):
    """An older revision than one seen before, or another one of the same number."""


class MountError(ReadingError):
    """An image cannot be mounted on this machine."""
