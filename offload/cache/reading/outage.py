"""Whether nobody is there to answer, found out by one for all: pure, the clock comes in.

Until somebody has waited in vain everybody waits, so that a short outage is not seen. From
then on nobody does: from time to time one who would ask looks whether it has ended.
"""

from __future__ import annotations

AGAIN_S = 3.0
"""After one look has failed, the next one comes so much later."""


class Outage:
    """An outage, suspected or seen, or none."""

    def __init__(self) -> None:
        self._look_at: float | None = None

    @property
    def is_known(self) -> bool:
        """Whether one is suspected, or was seen when somebody looked last."""
        return self._look_at is not None

    def is_due(self, now: float) -> bool:
        """Whether it is time to look."""
        return self._look_at is not None and now >= self._look_at

    def suspect(self, now: float) -> None:
        """Note that somebody has waited in vain: perhaps only for what he asked for."""
        if self._look_at is None:
            self._look_at = now

    def looked(self, now: float, *, is_answered: bool) -> None:
        """Note what somebody found who looked."""
        self._look_at = None if is_answered else now + AGAIN_S
