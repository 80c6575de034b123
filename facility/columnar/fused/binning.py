"""Which bin a value is in, with the arithmetic of boost-histogram: the same bits.

Every function returns -1 below the axis, ``bins`` beyond it, and the bin otherwise.
Formulas: Boost.Histogram's documentation of the axis classes.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def regular_bin(x: Any, low: Any, width: Any, bins: Any) -> Any:
    """Return the bin of ``bins`` equal ones from ``low`` on; NaN is beyond."""
    z = (x - low) / width
    is_inside = (z >= 0.0) & (z < 1.0)
    inside = np.int64(z * bins) if is_inside else bins
    return -1 if z < 0.0 else inside


def closed_regular_bin(x: Any, low: Any, width: Any, bins: Any) -> Any:
    """Do :func:`regular_bin` with the upper edge in the last bin (no overflow)."""
    z = (x - low) / width
    if z == 1.0:
        return bins - 1
    is_inside = (z >= 0.0) & (z < 1.0)
    inside = np.int64(z * bins) if is_inside else bins
    return -1 if z < 0.0 else inside


def circular_bin(x: Any, low: Any, width: Any, bins: Any) -> Any:
    """Return the bin after as many turns as it takes; what is not finite is beyond."""
    z = (x - low) / width
    turned = z - np.floor(z)
    return np.int64(turned * bins) if turned < 1.0 else bins


def variable_bin(x: Any, edges: Any, bins: Any) -> Any:
    """Return the bin between ascending ``edges``, half open; NaN is beyond."""
    if x < edges[0]:
        return -1
    below, above = 0, bins + 1
    while above - below > 1:
        middle = (below + above) // 2
        if x < edges[middle]:
            above = middle
        else:
            below = middle
    return bins if x != x else below  # noqa: PLR0124 - that is how NaN is found


def closed_variable_bin(x: Any, edges: Any, bins: Any) -> Any:
    """Do :func:`variable_bin` with the last edge in the last bin (no overflow)."""
    return bins - 1 if x == edges[bins] else variable_bin(x, edges, bins)


def integer_bin(x: Any, low: Any, bins: Any) -> Any:
    """Return the bin of an integer."""
    if x < low:
        return -1
    return x - low if x < low + bins else bins


def category_bin(x: Any, categories: Any, bins: Any) -> Any:
    """Return the position among ``categories``, or beyond all."""
    for position in range(bins):
        if categories[position] == x:
            return position
    return bins


FUNCTIONS = (
    regular_bin,
    closed_regular_bin,
    circular_bin,
    variable_bin,
    closed_variable_bin,
    integer_bin,
    category_bin,
)
