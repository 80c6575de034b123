"""Site side of snapshots: received once, unpacked once, shared by all jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offload.lazy import lazily

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
    from offload.cache.receiving import Incoming, Missing
    from offload.cache.site import SiteCache

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

__getattr__ = lazily(
    __name__,
    {
        "collection": "Freed",
        "errors": (
            "CacheError DamagedTreeError DigestError MissingBlobsError "
            "NoSpaceError OffsetError"
        ),
        "receiving": "Incoming Missing",
        "site": "SiteCache",
    },
)
