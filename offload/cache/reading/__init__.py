"""Site side of published environments: fetched once, verified, kept, shown to jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offload.lazy import lazily

if TYPE_CHECKING:
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

__getattr__ = lazily(
    __name__,
    {
        "cache": "RepositoryCache",
        "choosing": "Choice Way choose",
        "errors": (
            "AbsentError MountError OlderRevisionError ReadingError UnreachableError"
        ),
        "settings": "RepositorySettings load_settings",
        "view": "Revision",
    },
)
