"""Decoded columns on disk, so that they are neither fetched nor decoded again.

By default for remote files only. Measured (a loopback server with 20 ms delay, and a
local file in the page cache): see ``tests/benchmarks/caching.py``.
"""

from facility.columnar.caching.columns import (
    CachedColumns,
    CacheUse,
    cached,
    require_known,
)
from facility.columnar.caching.store import ColumnStore, default_store

__all__ = [
    "CacheUse",
    "CachedColumns",
    "ColumnStore",
    "cached",
    "default_store",
    "require_known",
]
