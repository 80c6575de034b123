"""Which objects of an event are looked at together."""

from __future__ import annotations

import awkward as ak

from facility.columnar.kernels.fourvectors import FourVectorArray, with_cartesian


def pairs(objects: ak.Array) -> tuple[ak.Array, ak.Array]:
    """Return both members of all pairs of each event; see :func:`combinations`."""
    first, second = combinations(objects, 2)
    return first, second


def combinations(objects: ak.Array, count: int) -> tuple[ak.Array, ...]:
    """Return the members of all sets of ``count`` objects of each event.

    Jagged arrays of equal counts, in the order of ``itertools.combinations``: no
    object meets itself, no set comes twice, members keep the order of the event.
    Cartesian components of four-vectors are computed once per object, not per set.
    """
    if isinstance(objects, FourVectorArray):
        objects = with_cartesian(objects)
    return tuple(ak.unzip(ak.combinations(objects, count, axis=1)))


def cross(first: ak.Array, second: ak.Array) -> tuple[ak.Array, ak.Array]:
    """Return every object of ``first`` with every one of ``second``, event by event.

    In the order of ``itertools.product``.
    """
    left, right = ak.unzip(ak.cartesian((first, second), axis=1))
    return left, right
