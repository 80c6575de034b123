"""Where the baskets of a branch are, and whether compiled code can read them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt
import uproot

from facility.columnar.columns import PLAIN_KINDS, ColumnType

Positions = npt.NDArray[np.int64]


class Layout(IntEnum):
    """How an entry is in a basket."""

    OTHER = 0
    """Plain for uproot, but not as below (``Double32_t`` and its like)."""
    FLAT = 1
    """One number."""
    COUNTED = 2
    """So many numbers as the count branch says."""
    VECTOR = 3
    """A ``std::vector``: a header and the numbers."""
    PLAIN = 4
    SPLIT = 5
    ZIGZAG = 6
    DELTA = 7
    BITS = 8
    """Pages of an RNTuple, one value after another, by their encoding: see
    :mod:`facility.columnar.baskets.encodings`."""


_HEADER_BYTES = {0: Layout.COUNTED, 10: Layout.VECTOR}
"""What uproot says comes before the numbers of an entry."""


@dataclass(frozen=True, slots=True, eq=False)
class Baskets:
    """The baskets of a plain branch that are in the file on their own.

    Basket ``i`` is ``sizes[i]`` bytes at ``seeks[i]`` and has the entries
    ``entries[i]`` to ``entries[i + 1]``. Entries after ``entries[-1]`` are in baskets
    inside the tree's own record (it was not closed, or recovered).
    """

    type: ColumnType
    layout: Layout
    seeks: Positions
    sizes: Positions
    entries: Positions

    def __post_init__(self) -> None:
        if not (
            len(self.seeks) == len(self.sizes) == len(self.entries) - 1
            and self.entries[0] == 0
            and np.all(self.entries[1:] >= self.entries[:-1])
            and np.all(self.seeks > 0)
            and np.all(self.sizes > 0)
        ):
            raise ValueError("its baskets are not one after another")

    @property
    def last(self) -> int:
        """The entry after the last one in these baskets."""
        return int(self.entries[-1])

    @property
    def stored_bytes(self) -> int:
        """Of all baskets, as they are in the file."""
        return int(self.sizes.sum())

    def overlapping(self, start: int, stop: int) -> slice:
        """Return which baskets have entries of ``start`` to ``stop``."""
        first = int(np.searchsorted(self.entries, start, side="right")) - 1
        last = int(np.searchsorted(self.entries, stop, side="left"))
        return slice(first, max(first, last))


@dataclass(frozen=True, slots=True, eq=False)
class Lists:
    """The pages of an RNTuple's field of lists of numbers."""

    content: Baskets
    """The numbers of all lists; *entries* of these pages are numbers."""
    ends: Baskets
    """Of each event, how many numbers are in its cluster until the end of its list."""
    events: Positions
    numbers: Positions
    """Events, and numbers, before each cluster, and at last all."""

    def __post_init__(self) -> None:
        if not (
            len(self.events) == len(self.numbers) > 0
            and self.events[0] == self.numbers[0] == 0
            and np.all(self.events[1:] >= self.events[:-1])
            and np.all(self.numbers[1:] >= self.numbers[:-1])
            and self.ends.entries[-1] == self.events[-1]
            and self.content.entries[-1] == self.numbers[-1]
        ):
            raise ValueError("its clusters are not one after another")

    @property
    def type(self) -> ColumnType:
        return self.content.type

    @property
    def last(self) -> int:
        """All events."""
        return int(self.events[-1])

    @property
    def stored_bytes(self) -> int:
        """Of all pages, as they are in the file."""
        return self.content.stored_bytes + self.ends.stored_bytes


def type_of_branch(branch: Any) -> ColumnType | None:
    """Return what kind of plain column uproot's branch is; none if it is not plain."""
    kind = branch.interpretation
    is_jagged = isinstance(kind, uproot.AsJagged)
    content = kind.content if is_jagged else kind
    if not isinstance(content, uproot.interpretation.numerical.Numerical):
        return None
    dtype = np.dtype(getattr(content, "to_dtype", object)).newbyteorder("=")
    if dtype.kind not in PLAIN_KINDS or dtype.shape:
        return None
    counted_by = branch.count_branch if is_jagged else None
    # A branch without branches of its own is false.
    counts = None if counted_by is None else str(counted_by.name)
    return ColumnType(dtype, is_jagged, counts)


def baskets_of(branch: Any) -> Baskets | None:
    """Return where uproot's branch has its baskets; none if it is not plain.

    Raises:
        ValueError: the positions cannot be true.
    """
    plain = type_of_branch(branch)
    if plain is None:
        return None
    number = branch._num_normal_baskets
    return Baskets(
        plain,
        _layout(branch.interpretation, plain),
        np.asarray(branch.member("fBasketSeek")[:number], np.int64),
        np.asarray(branch.member("fBasketBytes")[:number], np.int64),
        np.asarray(branch.member("fBasketEntry")[: number + 1], np.int64),
    )


def _layout(kind: Any, plain: ColumnType) -> Layout:
    is_jagged = isinstance(kind, uproot.AsJagged)
    content = kind.content if is_jagged else kind
    if type(content) is not uproot.AsDtype:
        return Layout.OTHER
    if content.from_dtype != plain.dtype.newbyteorder(">"):
        return Layout.OTHER
    if not is_jagged:
        return Layout.FLAT
    layout = _HEADER_BYTES.get(kind.header_bytes, Layout.OTHER)
    if layout is Layout.COUNTED and plain.counts is None:
        return Layout.OTHER
    return layout
