"""Which way to the repository is tried first: pure, the clock comes in."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

_FIRST_S = 0.5
_LONGEST_S = 30.0


@dataclass(frozen=True, slots=True)
class Route:
    """An origin, through a proxy or directly."""

    url: str
    proxy: str | None

    def __str__(self) -> str:
        return self.url if self.proxy is None else f"{self.url} through {self.proxy}"


class Routes:
    """Every origin by every proxy; those that failed wait, longer each time.

    Proxies are the outer order: as long as one proxy reaches any origin, the next one,
    and the direct way, are spared.
    """

    def __init__(self, urls: Sequence[str], proxies: Sequence[str | None]) -> None:
        self._routes = [Route(url, proxy) for proxy in proxies for url in urls]
        self._failures: dict[Route, tuple[int, float]] = {}
        self._lock = threading.Lock()

    def usable(self, now: float) -> tuple[Route, ...]:
        """Return what is worth a try, the best first; empty while all have to wait."""
        with self._lock:
            return tuple(r for r in self._routes if self._waits_until(r) <= now)

    def all(self) -> tuple[Route, ...]:
        """Return every route, also those that wait."""
        return tuple(self._routes)

    def failed(self, route: Route, now: float) -> None:
        """Note that nothing was to be had this way."""
        with self._lock:
            count = self._failures.get(route, (0, 0.0))[0] + 1
            pause = min(_LONGEST_S, _FIRST_S * 2.0 ** (count - 1))
            self._failures[route] = (count, now + pause)

    def worked(self, route: Route) -> None:
        """Note that it answers."""
        if route in self._failures:
            with self._lock:
                self._failures.pop(route, None)

    def _waits_until(self, route: Route) -> float:
        return self._failures.get(route, (0, float("-inf")))[1]
