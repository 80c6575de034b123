"""How long to wait for what need not be sent. Pure."""

from __future__ import annotations

UNKNOWN_PACE = 50e6
"""Bytes per second of a way that nothing large has gone yet."""
LEAST_S = 0.5
"""Who would have to wait no longer than this is not asked to."""
COMING_S = 5.0
"""What is on its way already has so long in any case: sent too, it would only make both
slower."""
LONGEST_S = 600.0


def patience_s(size: int, pace: float | None, *, is_coming: bool = False) -> float:
    """Return for how many seconds to wait for bytes that come another way.

    As long as sending would take: whoever then has to send after all is done after
    twice the time at most, and whoever needs not has spared the way all of it. (The
    best that can be promised without knowing the future: "ski rental".)

    Args:
        size: bytes that would have to be sent.
        pace: bytes per second of the way, as it was lately; None if not known.
        is_coming: whether the other way has begun to bring it.
    """
    wait_s = min(size / (UNKNOWN_PACE if pace is None else pace), LONGEST_S)
    if is_coming:
        return max(wait_s, COMING_S)
    return 0.0 if wait_s < LEAST_S else wait_s
