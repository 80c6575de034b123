"""Which byte ranges are asked for in one go: fewer requests for few bytes too many."""

from __future__ import annotations

from collections.abc import Sequence

GAP_BYTES = 65_536
"""Read and thrown away if closer: at 20 ms a request, 1 Gbit/s, it costs 0.5 ms."""

LARGEST_BYTES = 8 * 1024 * 1024
"""Larger requests come as several, at once."""

Range = tuple[int, int]
"""First byte, and the one after the last."""


def merged(ranges: Sequence[Range], gap: int = GAP_BYTES) -> list[Range]:
    """Return disjoint ascending ranges that cover the given ones.

    Ranges no more than ``gap`` bytes apart become one, unless it would be larger than
    :data:`LARGEST_BYTES`. Each given range lies within one of them.
    """
    requests: list[Range] = []
    for start, stop in sorted(ranges):
        if requests:
            first, last = requests[-1]
            is_within = stop <= last
            is_near = start - last <= gap and stop - first <= LARGEST_BYTES
            if is_within or is_near or start < last:
                requests[-1] = (first, max(last, stop))
                continue
        requests.append((start, stop))
    return requests
