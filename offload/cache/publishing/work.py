"""What is known of a name, whose turn it is, and when it is tried again. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from offload.cache.publishing.references import Reference

SHORTEST_S = 1.0
LONGEST_S = 600.0
MOST_CRASHES = 8
"""Doubled waits between them: some four minutes, in which all others had their turn."""
CRASHES_COUNT_S = 86400.0
"""For so long after the last one."""


class State(StrEnum):
    """What is known of a name."""

    WAITING = "waiting"
    """Its turn has not come, or what was tried failed and will be tried again."""
    PUBLISHED = "published"
    REFUSED = "refused"
    """What it means will not be published; asked again it is looked at again."""
    GONE = "gone"
    """Its registry does not have it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One name. Times are seconds since the epoch."""

    reference: Reference
    state: State
    image: str | None
    """Digest of the image that it meant last."""
    told: str | None
    """What its registry called that: the digest of an index, perhaps."""
    detail: str
    """Why it waits or was refused; for people."""
    asked_at: float
    due: float | None
    at: float
    """When the state became what it is."""
    done: int
    total: int
    """Bytes that are here of those that have to come, while it waits."""
    failures: int
    """In a row."""


@dataclass(frozen=True, slots=True)
class Work:
    """A name whose turn it is."""

    reference: Reference
    asked: int
    """Up to which request an answer holds."""
    failures: int
    asked_at: float
    expected: str | None
    """What its registry will say in a moment that it means, if who asked knew."""
    crashes: int
    """How often the publisher ended in the middle of it, as far as that counts."""


def delay_s(failures: int, chance: float) -> float:
    """Return how long to wait after so many failures in a row.

    Args:
        failures: at least one.
        chance: from 0 to 1, so that many do not come back as one.
    """
    doubled_s: float = SHORTEST_S * 2.0 ** min(failures - 1, 16)
    return min(doubled_s, LONGEST_S) * (0.75 + chance / 2)
