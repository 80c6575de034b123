"""Arrow's arrays as plain columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from facility.columnar.buffers import Buffers
from facility.columnar.columns import Column


def column_of(
    name: str, values: pa.ChunkedArray, memory: Buffers, *, is_listed: bool = True
) -> Column:
    """Return numbers, or lists of numbers, of a column that Arrow has in pieces.

    One piece is not copied; several are, into ``memory``. Of lists that are not
    ``is_listed`` the numbers come alone.

    Raises:
        ValueError: values are missing.
    """
    pieces = values.chunks or [pa.array([], values.type)]
    _require_all(values)
    if not (pa.types.is_list(values.type) or pa.types.is_large_list(values.type)):
        return Column(_joined(name, [_numbers(p) for p in pieces], memory))
    content = _joined(name, [_numbers(piece.flatten()) for piece in pieces], memory)
    if not is_listed:
        return Column(content)
    offsets = memory.take(f"{name}.offsets", np.int64, len(values) + 1)
    offsets[0] = 0
    event = 0
    for piece in pieces:
        ends = piece.offsets.to_numpy()
        filled = offsets[event : event + len(ends)]
        np.add(ends, filled[0] - ends[0], out=filled)
        event += len(piece)
    return Column(content, offsets)


def _numbers(piece: pa.Array) -> Any:
    _require_all(piece)
    # Truth values are bits in Arrow, and become bytes here.
    return piece.to_numpy(zero_copy_only=not pa.types.is_boolean(piece.type))


def _joined(name: str, pieces: list[Any], memory: Buffers) -> Any:
    if len(pieces) == 1:
        return pieces[0]
    content = memory.take(name, pieces[0].dtype, sum(map(len, pieces)))
    return np.concatenate(pieces, out=content)


def _require_all(values: pa.Array | pa.ChunkedArray) -> None:
    if values.null_count:
        raise ValueError(f"{values.null_count} of {len(values)} values are missing")
