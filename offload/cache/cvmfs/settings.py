"""How a repository is written."""

from __future__ import annotations

from dataclasses import dataclass

from offload.cache.cvmfs.objects import DEFAULT_LEVEL
from offload.cache.cvmfs.splitting import MOST_ROWS


@dataclass(frozen=True, slots=True)
class Settings:
    """How a repository is written."""

    level: int = DEFAULT_LEVEL
    """zlib's, 0 to 9."""
    workers: int | None = None
    """Threads that compress; by default as many as there are cores."""
    ttl_s: int = 60
    """For so long a client need not ask for a newer revision."""
    whitelist_days: int = 30
    """For so long a signed whitelist is valid."""
    most_rows: int = MOST_ROWS
    """A catalogue with more is cut."""
