"""What a loop that does one event after the other adds to histograms."""

from __future__ import annotations

from typing import Any


def count(histogram: Any, at: Any) -> None:
    """Add 1 to a bin."""
    histogram[at] += 1


def weigh(histogram: Any, at: Any, weight: Any) -> None:
    """Add a weight to a bin."""
    histogram[at] += weight


def weigh_squares(histogram: Any, at: Any, weight: Any) -> None:
    """Add a weight and its square to a bin."""
    histogram[2 * at] += weight
    histogram[2 * at + 1] += weight * weight


FUNCTIONS = (count, weigh, weigh_squares)
