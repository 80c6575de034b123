"""Plain columns and awkward arrays, one from the other, without copies."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np

from facility.columnar.columns import PLAIN_KINDS, Column, ColumnType, Offsets
from facility.columnar.errors import ChunkError

if TYPE_CHECKING:
    from facility.columnar.formats.base import ColumnFile


def type_of_form(form: Any, counts: str | None = None) -> ColumnType | None:
    """Return what an awkward form is as a plain column; none if it is not plain.

    Missing values (option types) count as plain: whether there are any is not in the
    metadata, and :func:`to_column` refuses them.
    """
    inner = _present(form)
    is_jagged = isinstance(inner, ak.forms.ListOffsetForm)
    if is_jagged:
        if inner.parameter("__array__") is not None:  # strings are lists of bytes
            return None
        inner = _present(inner.content)
    if not isinstance(inner, ak.forms.NumpyForm) or inner.inner_shape:
        return None
    dtype = np.dtype(inner.primitive)
    # Two bytes are no number that compiled code knows.
    if dtype == np.float16 or dtype.kind not in PLAIN_KINDS:
        return None
    if inner.parameter("__array__") is not None:
        return None
    return ColumnType(dtype, is_jagged, counts if is_jagged else None)


def to_column(array: ak.Array) -> Column:
    """Return the numbers, and where the events' parts begin, of an awkward array.

    Raises:
        ValueError: there are missing values, or the array is not plain.
    """
    layout = _without_options(ak.to_packed(array, highlevel=False))
    if isinstance(layout, ak.contents.ListOffsetArray):
        content = _without_options(layout.content)
        offsets = np.asarray(layout.offsets.data, np.int64)
        return Column(_numbers(content), offsets)
    return Column(_numbers(layout))


def to_array(column: Column) -> ak.Array:
    """Return the awkward array that shares the column's memory."""
    content = ak.contents.NumpyArray(column.content)
    if column.offsets is None:
        return ak.Array(content)
    offsets = ak.index.Index64(column.offsets)
    return ak.Array(ak.contents.ListOffsetArray(offsets, content))


def plain_columns(
    file: ColumnFile, names: Sequence[str], start: int, stop: int
) -> dict[str, Column]:
    """Do :meth:`ColumnFile.plain` through ``read``, whatever the format.

    Raises:
        ChunkError: as there.
        Exception: whatever reading raises: of damaged bytes anything.
    """
    columns: dict[str, Column] = {}
    for name in names:
        array = file.read(name, start, stop)
        try:
            columns[name] = to_column(array)
        except ValueError as error:
            raise unusable(file.identity.path, name, start, stop, error) from error
    return sharing_offsets(file, columns, start, stop)


def unusable(path: str, name: str, start: int, stop: int, why: object) -> ChunkError:
    """Return the error that says which column of which entries is of no use."""
    return ChunkError(f"{path}: column {name!r}, entries {start}..{stop}: {why}")


def sharing_offsets(
    file: ColumnFile, columns: Mapping[str, Column], start: int, stop: int
) -> dict[str, Column]:
    """Return the columns, those of one count branch with one offsets array.

    Raises:
        ChunkError: lists that the same branch counts have different lengths.
    """
    shared: dict[str, Offsets] = {}
    found: dict[str, Column] = {}
    for name, column in columns.items():
        kind = file.type_of(name)
        found[name] = column
        if column.offsets is None or kind is None or kind.counts is None:
            continue
        offsets = shared.setdefault(kind.counts, column.offsets)
        if offsets is column.offsets:
            continue
        if not np.array_equal(offsets, column.offsets):
            why = f"its lists are not as long as {kind.counts!r} says"
            raise unusable(file.identity.path, name, start, stop, why)
        found[name] = Column(column.content, offsets)
    return found


def without_offsets(
    columns: Mapping[str, Column], names: Collection[str]
) -> dict[str, Column]:
    """Return the columns, the named ones as their numbers alone."""
    return {
        name: Column(column.content) if name in names else column
        for name, column in columns.items()
    }


def _present(form: Any) -> Any:
    while form.is_option:
        form = form.content
    return form


def _without_options(layout: Any) -> Any:
    if not layout.is_option:
        return layout
    missing = int(np.count_nonzero(layout.mask_as_bool(valid_when=False)))
    if missing:
        raise ValueError(f"{missing} of {layout.length} values are missing")
    return ak.to_packed(layout.project(), highlevel=False)


def _numbers(layout: Any) -> Any:
    if not isinstance(layout, ak.contents.NumpyArray) or layout.purelist_depth != 1:
        raise ValueError(f"expected numbers, got {layout.form.type}")
    return np.ascontiguousarray(layout.data)
