"""Site side of published environments: fetched once, verified, kept, shown to jobs."""

from offload.cache.reading.cache import RepositoryCache
from offload.cache.reading.choosing import Choice, Way, choose
from offload.cache.reading.errors import (
    AbsentError,
    MountError,
    OlderRevisionError,
    ReadingError,
    UnreachableError,
)
from offload.cache.reading.settings import RepositorySettings, load_settings
from offload.cache.reading.view import Revision

__all__ = [
    "AbsentError",
    "Choice",
    "MountError",
    "OlderRevisionError",
    "ReadingError",
    "RepositoryCache",
    "RepositorySettings",
    "Revision",
    "UnreachableError",
    "Way",
    "choose",
    "load_settings",
]
