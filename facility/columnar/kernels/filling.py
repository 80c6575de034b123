"""Histograms of flat or jagged arrays, weights and systematic variations."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import or_
from typing import Any

import awkward as ak
import hist
import numpy as np

from facility.columnar.kernels.binning import can_bin, extents, linear
from facility.columnar.notes import note

NOMINAL = "nominal"
VARIATION = "variation"
"""Name of the axis of systematic variations."""


def fill(histogram: hist.Hist[Any], *values: Any, weight: Any = None) -> hist.Hist[Any]:
    """Fill the histogram in place and return it.

    The bins are those of ``histogram.fill``, bit for bit; on a GPU they are counted
    there and only the bins travel.

    Args:
        histogram: with one axis per value, in that order, and, if there are
            variations, a ``StrCategory`` axis named ``variation`` anywhere.
        values: numbers, flat or jagged, that broadcast to each other (a value per event
            beside one per object); None is left out. On category axes also texts, or
            one category for all. A mapping ``{"nominal": ..., "jesUp": ...}`` holds the
            variations of one of them.
        weight: likewise; a mapping holds the variations of the weight.

    Variations are filled one after the other, each with the nominal of whatever does
    not vary with it. Weights that are NaN are filled, and noted in the chunk's report.

    Raises:
        ValueError: values and axes do not match, or a mapping has no ``nominal``.
    """
    varied = [part for part in (*values, weight) if isinstance(part, Mapping)]
    if not varied:
        _check(histogram, len(values))
        _fill(histogram, values, weight)
        return histogram
    _check(histogram, len(values) + 1)
    names = [axis.name for axis in histogram.axes]
    if VARIATION not in names:
        raise ValueError(
            f"variations need an axis: hist.axis.StrCategory([], growth=True, "
            f"name={VARIATION!r}); got {', '.join(names)}"
        )
    if any(NOMINAL not in part for part in varied):
        raise ValueError(f"a mapping of variations needs {NOMINAL!r}")
    at = names.index(VARIATION)
    for name in dict.fromkeys(key for part in varied for key in part):
        chosen = [_variation(part, name) for part in values]
        chosen.insert(at, name)
        _fill(histogram, tuple(chosen), _variation(weight, name))
    return histogram


def _check(histogram: hist.Hist[Any], count: int) -> None:
    if count != len(histogram.axes):
        raise ValueError(f"{count} values for {len(histogram.axes)} axes")


def _variation(part: Any, name: str) -> Any:
    return part.get(name, part[NOMINAL]) if isinstance(part, Mapping) else part


def _fill(histogram: hist.Hist[Any], values: tuple[Any, ...], weight: Any) -> None:
    *flat, weights = _flat((*values, weight))
    if weights is not None:
        note("NaN weights", int(np.count_nonzero(np.isnan(weights))))
    device = next((f for f in flat if hasattr(f, "__cuda_array_interface__")), None)
    if device is None:
        histogram.fill(*flat, weight=weights)
    elif not all(map(can_bin, histogram.axes, flat)) or not _is_plain(histogram):
        histogram.fill(*map(_to_host, flat), weight=_to_host(weights))
    else:
        add_counts(histogram, tuple(flat), weights)


def _flat(parts: tuple[Any, ...]) -> list[Any]:
    """Return flat arrays of one length; None, text and numbers as they are."""
    arrays = {i: part for i, part in enumerate(parts) if not _is_scalar(part)}
    if len(arrays) > 1 and any(isinstance(a, ak.Array) for a in arrays.values()):
        together = ak.broadcast_arrays(*arrays.values())
        optional = [ak.is_none(a, axis=-1) for a in together if _is_optional(a)]
        if optional:  # what is None in one of them is left out of all
            present = ~reduce(or_, optional)
            together = [a[present] for a in together]
        arrays = dict(zip(arrays, together, strict=True))
    return [_content(arrays[i]) if i in arrays else p for i, p in enumerate(parts)]


def _is_scalar(part: Any) -> bool:
    if isinstance(part, ak.Array):  # numpy would make it regular to count dimensions
        return False
    return part is None or isinstance(part, str) or np.ndim(part) == 0


def _is_optional(array: ak.Array) -> bool:
    layout = ak.to_layout(array)
    while (layout.is_list or layout.is_indexed) and not layout.is_option:
        layout = layout.content
    return bool(layout.is_option)


def _content(array: Any) -> Any:
    """Return all numbers of an array as one flat array of its own device."""
    if not isinstance(array, ak.Array):
        return array if hasattr(array, "__array_function__") else np.asarray(array)
    content = ak.to_packed(ak.drop_none(ak.flatten(array, axis=None)))
    layout = ak.to_layout(content)
    return layout.data if layout.is_numpy else ak.to_numpy(content)  # text


def _to_host(values: Any) -> Any:
    return values.get() if hasattr(values, "__cuda_array_interface__") else values


def _is_plain(histogram: hist.Hist[Any]) -> bool:
    storages = hist.storage.Double, hist.storage.Int64, hist.storage.Weight
    return isinstance(histogram.storage_type(), storages)


def add_counts(histogram: hist.Hist[Any], values: tuple[Any, ...], weight: Any) -> None:
    """Add flat values that need not be in host memory.

    Args:
        histogram: of axes that :func:`can_bin` takes and storage ``Double``, ``Int64``
            or ``Weight``.
        values: one flat array per axis, or one category for all.
        weight: flat, a number or None.

    Raises:
        TypeError: weights on a storage of integers.
    """
    numbers = linear(histogram, values)
    shape = extents(histogram)
    size = int(np.prod(shape))
    if weight is not None and histogram.storage_type is hist.storage.Int64:
        raise TypeError("weights need the storage Double or Weight, got Int64")
    if weight is not None and np.ndim(weight) == 0:
        weight = np.full_like(numbers, weight, dtype=np.float64)

    def counted(weights: Any) -> Any:
        counts = np.bincount(numbers, weights=weights, minlength=size + 1)
        return _to_host(counts)[:size].reshape(shape)

    view: Any = histogram.view(flow=True)
    if histogram.storage_type is hist.storage.Weight:
        view["value"] += counted(weight)
        view["variance"] += counted(None if weight is None else weight * weight)
    else:
        view += counted(weight)
