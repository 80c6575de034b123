"""Whether and when a failed request is made again: a decision, no clock, no network."""

from __future__ import annotations

from dataclasses import dataclass

from facility.columnar.remote.failures import Kind


@dataclass(frozen=True, slots=True)
class Patience:
    """How often and how long one waits for a server."""

    attempts: int = 6
    """Requests in all."""
    first_s: float = 0.1
    factor: float = 3.0
    longest_s: float = 10.0

    def wait_s(self, kind: Kind, failed: int, chance: float) -> float | None:
        """Return seconds until the next attempt; none if there is to be none.

        Waits grow from ``first_s`` by ``factor`` up to ``longest_s``; each is cut by
        up to a half, so that many clients of one server do not come back at once.

        Args:
            kind: of the last failure.
            failed: attempts so far, at least 1.
            chance: a random number from 0 to 1.
        """
        if not kind.may_pass or failed >= self.attempts:
            return None
        full = min(self.longest_s, self.first_s * self.factor ** (failed - 1))
        return full * (1 - chance / 2)
