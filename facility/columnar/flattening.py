"""Awkward arrays of numbers as flat arrays, without a copy where there is no need."""

from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np

from facility.columnar.columns import Column, ColumnType


def type_of_array(array: ak.Array) -> ColumnType | None:
    """Return the type of numbers or lists of numbers; none for anything else."""
    layout = array.layout
    inner = layout.content if layout.is_list else layout
    is_string = layout.parameter("__array__") is not None
    if is_string or not inner.is_numpy or len(inner.inner_shape):
        return None
    dtype = inner.dtype.newbyteorder("=")
    return ColumnType(dtype, bool(layout.is_list)) if dtype.kind in "biuf" else None


def column_of_array(array: ak.Array) -> Column:
    """Return the values and where each entry's begin.

    Raises:
        TypeError: it is neither numbers nor lists of numbers.
    """
    if type_of_array(array) is None:
        raise TypeError(f"expected numbers or lists of numbers, got {array.type}")
    if not array.layout.is_list:
        return Column(_native(np.asarray(array.layout.data)))
    layout = array.layout.to_ListOffsetArray64(start_at_zero=True)
    offsets = np.asarray(layout.offsets.data, dtype=np.int64)
    return Column(_native(np.asarray(layout.content.data)[: offsets[-1]]), offsets)


def _native(values: Any) -> Any:
    return np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("="))
