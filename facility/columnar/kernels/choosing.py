"""One object of each event, by a key."""

from __future__ import annotations

from typing import Any, TypeVar

import awkward as ak
import numpy as np

Objects = TypeVar("Objects", ak.Array, tuple[ak.Array, ...])
"""A jagged array, or several of equal counts (the members of combinations)."""


def argmin_by(objects: Objects, key: Any) -> Objects:
    """Return the object of each event whose key is smallest, None where there is none.

    Of equal keys the first wins. NaN and +inf are never picked: ``np.inf`` is the key
    of what is no candidate.

    Args:
        objects: a jagged array, or a tuple of several: then a tuple is returned.
        key: jagged numbers of the same counts, or the name of a field.
    """
    # fmin takes the number where the other is NaN.
    values = _lists(np.fmin(_keys(objects, key), np.inf))
    offsets, best = values.offsets.data, ak.argmin(ak.Array(values), axis=1)
    places = _places(offsets, best)
    candidate = ak.fill_none(_pick(values, places) < np.inf, False)
    # -1 stands for None.
    places = (places + 1) * candidate - 1
    if isinstance(objects, tuple):
        return tuple(_pick(_lists(one, offsets), places) for one in objects)
    return _pick(_lists(objects, offsets), places)


def argmax_by(objects: Objects, key: Any) -> Objects:
    """Return the object whose key is largest; NaN and -inf are never picked.

    Otherwise as :func:`argmin_by`.
    """
    return argmin_by(objects, -_keys(objects, key))


def closest(objects: Objects, key: Any, target: Any) -> Objects:
    """Return the object whose key is closest to ``target``; as :func:`argmin_by`.

    ``a, b, c = closest((a, b, c), (a + b + c).mass, 172.5)``.

    Args:
        objects: as for :func:`argmin_by`.
        key: as for :func:`argmin_by`.
        target: a number, or one per event.
    """
    return argmin_by(objects, abs(_keys(objects, key) - target))


def _keys(objects: Any, key: Any) -> Any:
    """Return float64 keys: unsigned ones could not be negated."""
    return np.multiply(objects[key] if isinstance(key, str) else key, np.float64(1))


def _lists(array: ak.Array, offsets: Any = None) -> Any:
    """Return the layout as lists from 0 on, with offsets if some are given."""
    if ak.to_layout(array).is_option:  # an event without a list has no objects
        array = ak.fill_none(array, [], axis=0)
    lists = ak.to_layout(array).to_ListOffsetArray64(True)
    found = lists.offsets.data
    if offsets is None or found is offsets or ak.backend(array) == "typetracer":
        return lists
    if len(found) != len(offsets) or not bool((found == offsets).all()):
        raise ValueError("objects and keys differ in number: expected a key per object")
    return lists


def _places(offsets: Any, index: ak.Array) -> ak.Array:
    """Return where in all lists together each event's index is, -1 where it is None."""
    starts = ak.Array(ak.contents.NumpyArray(offsets[:-1]))
    return ak.fill_none(starts + index, -1)


def _pick(lists: Any, places: ak.Array) -> ak.Array:
    """Return one object of each event, None where the place is -1.

    Slicing with lists would gather every field of every object first; this only keeps
    where the chosen ones are.
    """
    index = ak.index.Index64(ak.to_layout(places).data)
    return ak.Array(ak.contents.IndexedOptionArray.simplified(index, lists.content))
