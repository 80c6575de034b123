"""Bin numbers of values on any device: boost-histogram's arithmetic as array calls.

Source of the arithmetic: Boost.Histogram, ``axis/regular.hpp``, ``axis/variable.hpp``,
``axis/integer.hpp``, ``axis/category.hpp`` (their ``index`` functions).
"""

from __future__ import annotations

from typing import Any

import hist
import numpy as np


def can_bin(axis: Any, values: Any) -> bool:
    """Return whether :func:`bins` knows the axis: no transform, circle or growth."""
    traits = axis.traits
    if isinstance(values, str):
        return isinstance(axis, hist.axis.StrCategory) and values in list(axis)
    if traits.circular or traits.growth:
        return False
    match axis:
        case hist.axis.Regular():
            return axis.transform is None
        case hist.axis.Integer() | hist.axis.IntCategory():
            return bool(values.dtype.kind in "iub")
        case hist.axis.Variable():
            return True
        case _:
            return False


def bins(axis: Any, values: Any) -> Any:
    """Return, per value, its position on the axis counted from the underflow bin.

    -1 and ``axis.extent`` are of values that no bin takes.

    Args:
        axis: one for which :func:`can_bin` is true.
        values: flat numbers of an array that answers numpy's functions; or, on a
            category axis, one category for all.
    """
    underflow = int(axis.traits.underflow)
    if isinstance(values, str):
        return axis.index(values) + underflow
    size = len(axis)
    match axis:
        case hist.axis.Regular():
            low, high = axis.edges[0], axis.edges[-1]
            inside = (values.astype(np.float64) - low) / (high - low)
            scaled = np.where((inside >= 0) & (inside < 1), inside * size, 0)
            number = np.where(inside < 0, -1, size)
            number = np.where((inside >= 0) & (inside < 1), scaled, number)
            if not axis.traits.overflow:  # then the last bin holds its upper edge
                number = np.where(inside == 1, size - 1, number)
        case hist.axis.Variable():
            edges = np.asarray(axis.edges, like=values)
            number = np.searchsorted(edges, values.astype(np.float64), side="right") - 1
            if not axis.traits.overflow:
                number = np.where(values == edges[-1], size - 1, number)
        case hist.axis.Integer():
            number = np.clip(values.astype(np.int64) - int(axis.edges[0]), -1, size)
        case _:
            number = np.full_like(values, size, dtype=np.int64)
            for position, category in enumerate(axis):
                number = np.where(values == category, position, number)
    return number.astype(np.int64) + underflow


def extents(histogram: Any) -> tuple[int, ...]:
    """Return the number of bins of each axis, under- and overflow included."""
    return tuple(int(axis.extent) for axis in histogram.axes)


def linear(histogram: Any, values: tuple[Any, ...]) -> Any:
    """Return, per entry, the flat position of its bin in ``view(flow=True)``.

    The size of the view for entries that no bin takes.
    """
    shape = extents(histogram)
    flat: Any = 0
    valid: Any = True
    for axis, extent, one in zip(histogram.axes, shape, values, strict=True):
        number = bins(axis, one)
        valid = valid & (number >= 0) & (number < extent)
        flat = flat * extent + number
    return np.where(valid, flat, int(np.prod(shape)))
