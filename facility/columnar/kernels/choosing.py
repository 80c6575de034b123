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
    values = _keys(objects, key)
    values = ak.where(np.isnan(values), np.inf, values)
    best = ak.argmin(values, axis=1, keepdims=True)
    candidate = ak.fill_none(ak.firsts(values[best]) < np.inf, False)
    if isinstance(objects, tuple):
        return tuple(ak.mask(ak.firsts(o[best]), candidate) for o in objects)
    return ak.mask(ak.firsts(objects[best]), candidate)


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
