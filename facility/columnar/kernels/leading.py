"""Flat numpy arrays of the first few objects of each event.

A jagged selection copies every column twice; this is one gather per field, and the
fields are read only when they are used.
"""

from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt

from facility.columnar.events import Collection

Indices = npt.NDArray[np.intp]


def leading(
    collection: Collection, count: int, where: npt.ArrayLike | ak.Array
) -> tuple[Objects, ...]:
    """Return the first ``count`` objects of the events where ``where`` is true.

    ``first, second = leading(events.Muon, 2, where=events.nMuon == 2)`` gives objects
    whose fields (``first.pt``) are flat numpy arrays, one value per selected event.

    Raises:
        ValueError: a selected event has fewer objects (when a field is read).
        TypeError: the field is not a jagged column of numbers.
    """
    selected = np.flatnonzero(np.asarray(where))
    picked = _Picked(collection, count, selected)
    return tuple(Objects(picked, position) for position in range(count))


class Objects:
    """One object per selected event; ``objects[mask]`` selects further."""

    def __init__(
        self, picked: _Picked, position: int, only: Indices | None = None
    ) -> None:
        self._picked = picked
        self._position = position
        self._only = only
        self._at: tuple[Indices, Indices] | None = None

    def __getattr__(self, field: str) -> npt.NDArray[Any]:
        if field.startswith("_"):
            raise AttributeError(field)
        content, starts = self._picked.field(field)
        # mode="clip" skips numpy's bounds check: _Picked has checked all of them.
        return content[self._position :].take(self._indices(starts), mode="clip")

    def __getitem__(self, mask: npt.NDArray[np.bool_]) -> Objects:
        chosen = np.flatnonzero(mask)
        if self._only is not None:
            chosen = self._only[chosen]
        return Objects(self._picked, self._position, chosen)

    def _indices(self, starts: Indices) -> Indices:
        """Return where the chosen events' objects begin, computed once."""
        if self._only is None:
            return starts
        if self._at is None or self._at[0] is not starts:
            self._at = (starts, starts[self._only])
        return self._at[1]


class _Picked:
    """Where the objects of the selected events begin, found once per collection."""

    def __init__(self, collection: Collection, count: int, selected: Indices) -> None:
        self._collection = collection
        self._count = count
        self._selected = selected
        self._offsets: npt.NDArray[Any] | None = None
        self._starts: Indices = selected
        self._fields: dict[str, tuple[npt.NDArray[Any], Indices]] = {}

    def field(self, name: str) -> tuple[npt.NDArray[Any], Indices]:
        """Return the field of all objects, and the indices of each event's first."""
        if name not in self._fields:
            self._fields[name] = self._find(name)
        return self._fields[name]

    def _find(self, name: str) -> tuple[npt.NDArray[Any], Indices]:
        content, offsets = _flat(getattr(self._collection, name))
        # Fields of one collection share their offsets unless the file is odd: look.
        if self._offsets is None or not np.array_equal(self._offsets, offsets):
            starts = offsets[self._selected]
            if np.any(offsets[self._selected + 1] - starts < self._count):
                raise ValueError(
                    f"an event has fewer than {self._count} objects with {name!r}: "
                    "select with where="
                )
            self._offsets, self._starts = offsets, starts
        return content, self._starts


def _flat(column: ak.Array) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return content and offsets of a jagged column of numbers, without a copy."""
    layout = column.layout
    if not isinstance(layout, ak.contents.ListOffsetArray):
        layout = ak.to_packed(layout)
    if isinstance(layout, ak.contents.RegularArray):
        layout = layout.to_ListOffsetArray64(False)
    if not isinstance(layout, ak.contents.ListOffsetArray) or not isinstance(
        layout.content, ak.contents.NumpyArray
    ):
        raise TypeError(f"expected a jagged column of numbers, got {column.type}")
    return np.asarray(layout.content.data), np.asarray(layout.offsets.data)
