"""How long to leave something alone that failed."""

from __future__ import annotations

from collections.abc import Callable, Hashable

SHORTEST_S = 0.2
LONGEST_S = 60.0


class Backoff:
    """Delays that double with each failure in a row, one row per key.

    Args:
        clock: Seconds; any that only grows.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failures: dict[Hashable, int] = {}
        self._until: dict[Hashable, float] = {}

    def failed(self, key: Hashable, shortest_s: float = SHORTEST_S) -> float:
        """Count a failure; return the seconds until the next try."""
        number = self._failures.get(key, 0) + 1
        self._failures[key] = number
        delay_s = min(LONGEST_S, shortest_s * 2.0 ** min(number - 1, 16))
        self._until[key] = self._clock() + delay_s
        return delay_s

    def worked(self, key: Hashable) -> None:
        """Forget the failures of a key."""
        self._failures.pop(key, None)
        self._until.pop(key, None)

    def left_s(self, key: Hashable) -> float:
        """Return for how long the key is still to be left alone; 0 if it is not."""
        return max(0.0, self._until.get(key, 0.0) - self._clock())
