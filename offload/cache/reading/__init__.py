"""Site side of published environments: fetched once, verified, kept, shown to jobs."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

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

_MODULES = {
    "RepositoryCache": "offload.cache.reading.cache",
    "Choice": "offload.cache.reading.choosing",
    "Way": "offload.cache.reading.choosing",
    "choose": "offload.cache.reading.choosing",
    "AbsentError": "offload.cache.reading.errors",
    "MountError": "offload.cache.reading.errors",
    "OlderRevisionError": "offload.cache.reading.errors",
    "ReadingError": "offload.cache.reading.errors",
    "UnreachableError": "offload.cache.reading.errors",
    "RepositorySettings": "offload.cache.reading.settings",
    "load_settings": "offload.cache.reading.settings",
    "Revision": "offload.cache.reading.view",
}


def __getattr__(name: str) -> Any:
    # Who imports one module of this package must not pay for all of them.
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_MODULES[name]), name)
    return found
