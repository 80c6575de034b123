"""Records as flat columns: arithmetic on them is numpy's or cupy's, without detours.

awkward walks down to the numbers, and looks at offsets and positions, in every single
operation; a formula of ten operations does it here once.
"""

from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np


class FlatColumns:
    """The numbers of records, flat or in lists, that are all there.

    ``columns[name]`` is a float64 array of every record in order, gathered if the
    records are selected.
    """

    def __init__(self, records: Any, index: Any, offsets: Any, size: int) -> None:
        self._records = records
        self._index = index
        self.offsets = offsets
        """awkward's, from 0; none of flat records."""
        self._size = size

    @classmethod
    def of(cls, array: ak.Array, names: frozenset[str]) -> FlatColumns | None:
        """Return the columns of records, or none if they are anything less plain.

        Args:
            array: of records.
            names: of the fields that must be numbers, if they are there.
        """
        layout, offsets = ak.to_layout(array), None
        if ak.backend(array) == "typetracer":  # offsets are needed as numbers
            return None
        size = len(layout)
        if layout.is_list:
            layout = layout.to_ListOffsetArray64(True)
            offsets, layout = layout.offsets, layout.content
            size = int(offsets.data[-1])
        index = None
        if isinstance(layout, ak.contents.IndexedArray):
            index, layout = layout.index.data[:size], layout.content
        if not isinstance(layout, ak.contents.RecordArray):
            return None
        fields = names.intersection(layout.fields)
        if not all(_is_plain(layout.content(name)) for name in fields):
            return None
        return cls(layout, index, offsets, size)

    @property
    def fields(self) -> tuple[str, ...]:
        return tuple(self._records.fields)

    @property
    def gathers(self) -> bool:
        """Whether each column that is asked for is a new array."""
        return self._index is not None

    def __getitem__(self, name: str) -> Any:
        # Not kept: memory that is given back is used again by the next one.
        return self._numbers(self._records.content(name)).astype(np.float64, copy=False)

    def _numbers(self, content: Any) -> Any:
        if not content.is_numpy:  # selected before it became a field
            numbers = np.take(content.content.data, content.index.data)
        else:
            numbers = content.data
        if self._index is None:
            return numbers[: self._size]
        return np.take(numbers, self._index)

    def is_like(self, other: FlatColumns) -> bool:
        """Return whether both have equally many records in every list."""
        if self.offsets is None or other.offsets is None:
            return self.offsets is other.offsets and self._size == other._size
        mine, others = self.offsets.data, other.offsets.data
        return mine is others or (
            len(mine) == len(others) and bool((mine == others).all())
        )

    def shaped(self, content: Any) -> Any:
        """Return a layout of the records' shape around one of all their values."""
        if self.offsets is None:
            return content
        return ak.contents.ListOffsetArray(self.offsets, content)

    def numbers(self, content: Any) -> ak.Array:
        """Return numbers, one per record, in the records' shape."""
        return ak.Array(self.shaped(ak.contents.NumpyArray(content)))

    def with_fields(self, columns: dict[str, Any]) -> Any:
        """Return the records' layout with more columns, or other ones."""
        contents = {name: self._content(name) for name in self.fields}
        contents |= {n: ak.contents.NumpyArray(c) for n, c in columns.items()}
        return self.shaped(
            ak.contents.RecordArray(
                list(contents.values()),
                list(contents),
                length=self._size,
                parameters=self._records.parameters,
            )
        )

    def _content(self, name: str) -> Any:
        content = self._records.content(name)
        if _is_plain(content):
            return ak.contents.NumpyArray(self._numbers(content))
        if self._index is None:
            return content[: self._size]
        index = ak.index.Index64(self._index)
        return ak.contents.IndexedArray.simplified(index, content)


def _is_plain(content: Any) -> bool:
    """Return whether it is numbers, or numbers that are selected."""
    if isinstance(content, ak.contents.IndexedArray):
        content = content.content
    return bool(content.is_numpy) and content.data.ndim == 1
