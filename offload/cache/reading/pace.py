"""How fast a repository is reached from here, learnt from each transfer: pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

_SMALL_BYTES = 64 << 10
"""Smaller answers tell the delay, larger ones the rate."""
_WEIGHT = 0.1
"""Of a new value in the moving average."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Moving averages over requests; at first, those of a squid in the same building."""

    delay_s: float = 0.005
    """From a request to the end of a small answer."""
    rate: float = 50e6
    """Bytes per second of one large answer."""
    requests: int = 0
    transferred: int = 0
    """Bytes of bodies, in all."""

    def after(self, size: int, seconds: float) -> Pace:
        """Return the pace as it is known after one more request."""
        counted = replace(
            self, requests=self.requests + 1, transferred=self.transferred + size
        )
        if size < _SMALL_BYTES:
            return replace(counted, delay_s=_mean(self.delay_s, seconds))
        net = max(1e-4, seconds - self.delay_s)
        return replace(counted, rate=_mean(self.rate, size / net))


def _mean(old: float, new: float) -> float:
    return old + _WEIGHT * (new - old)
