"""Site side of snapshots: received once, unpacked once, shared by all jobs."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from offload.cache.collection import Freed
    from offload.cache.errors import (
        CacheError,
        DamagedTreeError,
        DigestError,
        MissingBlobsError,
        NoSpaceError,
        OffsetError,
    )
    from offload.cache.receiving import Incoming
    from offload.cache.site import Missing, SiteCache

__all__ = [
    "CacheError",
    "DamagedTreeError",
    "DigestError",
    "Freed",
    "Incoming",
    "Missing",
    "MissingBlobsError",
    "NoSpaceError",
    "OffsetError",
    "SiteCache",
]

_MODULES = {
    "Freed": "offload.cache.collection",
    "CacheError": "offload.cache.errors",
    "DamagedTreeError": "offload.cache.errors",
    "DigestError": "offload.cache.errors",
    "MissingBlobsError": "offload.cache.errors",
    "NoSpaceError": "offload.cache.errors",
    "OffsetError": "offload.cache.errors",
    "Incoming": "offload.cache.receiving",
    "Missing": "offload.cache.site",
    "SiteCache": "offload.cache.site",
}


def __getattr__(name: str) -> Any:
    # Who imports one module of this package must not pay for all of them.
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_MODULES[name]), name)
    return found
