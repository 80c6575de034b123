"""A column as kernels see it: one flat array, and where each event's part begins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Content = npt.NDArray[Any]
Offsets = npt.NDArray[np.int64]

PLAIN_KINDS = "biuf"
"""Kinds of numpy types that are numbers or truth values."""


@dataclass(frozen=True, slots=True)
class ColumnType:
    """What metadata says of a plain column: numbers, or lists of numbers."""

    dtype: np.dtype[Any]
    """Of one number, in native byte order; ``bool`` for truth values."""
    is_jagged: bool
    """Whether an event has a list of them."""
    counts: str | None = None
    """The branch that says how long the lists are, if the file names one."""


@dataclass(frozen=True, slots=True)
class Column:
    """One plain column of ``n`` events.

    ``content`` has one dimension, is contiguous, in native byte order, and is only
    read. Event ``i`` of a jagged column owns
    ``content[offsets[i]:offsets[i + 1]]``; a flat one has ``content[i]``.
    """

    content: Content
    offsets: Offsets | None = None
    """``n + 1`` of them, int64, from 0, ascending; none for one number per event, and
    where only the numbers of all lists were asked for."""

    def __len__(self) -> int:
        return len(self.content if self.offsets is None else self.offsets[1:])
