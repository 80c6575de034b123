"""Which baskets of a branch hold the wanted entries, and what to take from each."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from facility.columnar.baskets.positions import Baskets, Layout, Positions
from facility.columnar.baskets.requests import Row
from facility.columnar.columns import Offsets


class Part:
    """Entries ``start`` to ``stop`` of one branch; decisions only.

    Of pages with the numbers of lists, entries are numbers, and ``events`` says which
    events have them.
    """

    def __init__(
        self,
        name: str,
        baskets: Baskets,
        start: int,
        stop: int,
        events: tuple[int, int] | None = None,
    ) -> None:
        self.name = name
        self._events = events
        self.baskets = baskets
        self.start = start
        self.stop = stop
        entries = baskets.entries
        self.first = int(np.searchsorted(entries, start, side="right")) - 1
        """The first basket that is read."""
        last = int(np.searchsorted(entries, stop, side="left"))
        chosen = slice(
            self.first, max(self.first, last) if start < stop else self.first
        )
        self.seeks = baskets.seeks[chosen]
        self.sizes = baskets.sizes[chosen]
        self._begin = entries[:-1][chosen]
        self._end = entries[1:][chosen]

    @property
    def is_whole(self) -> bool:
        """Whether these are all entries of their baskets."""
        if not len(self._begin):
            return True
        return bool(self.start == self._begin[0] and self.stop == self._end[-1])

    @property
    def begin(self) -> int:
        """The first entry of the first basket."""
        return int(self._begin[0]) if len(self._begin) else self.start

    def place(self, basket: int) -> str:
        """Name a basket, by its number in the branch, as in an error message."""
        first, last = self.baskets.entries[basket : basket + 2]
        kind = "page" if self.baskets.layout >= Layout.PLAIN else "basket"
        if self._events is None:
            return f"{kind} {basket} (entries {first}..{last})"
        low, high = self._events
        return f"{kind} {basket} (numbers {first}..{last}, for entries {low}..{high})"

    @property
    def most_behind(self) -> int:
        """Bytes, at most, that baskets of lists usually have behind their numbers.

        It is where each entry begins; not memory that is used, only reserved.
        """
        is_counted = self.baskets.layout is Layout.COUNTED and len(self._begin)
        return 4 * (int((self._end - self._begin).max()) + 2) if is_counted else 0

    def flat(self) -> Positions:
        """Return the table of baskets with one number per entry."""
        table = self._table
        table[:, Row.ITEMS] = self._end - self._begin
        table[:, Row.AT] = self._low - self.start
        return table

    def vectors(self) -> Positions:
        """Return the table of baskets with vectors."""
        return self._table

    def counted(self, ends: Offsets, base: int) -> Positions:
        """Return the table of baskets with lists.

        Args:
            ends: ``ends[i]`` numbers are in the entries from ``base`` to ``base + i``,
                up to ``stop``.
            base: not after :attr:`begin`.
        """
        table = self._table
        first = ends[self._begin - base]
        low, high = ends[self._low - base], ends[self._high - base]
        table[:, Row.ITEMS] = np.where(self._high == self._end, high - first, -1)
        table[:, Row.SKIP] = low - first
        table[:, Row.TAKE] = high - low
        table[:, Row.AT] = low - ends[self.start - base]
        return table

    def content(self) -> Positions:
        """Return the table of whole baskets with all that is in them."""
        table = self._table
        table[:, Row.SKIP], table[:, Row.TAKE] = 0, -1
        return table

    @cached_property
    def _low(self) -> Positions:
        return np.maximum(self._begin, self.start)

    @cached_property
    def _high(self) -> Positions:
        return np.minimum(self._end, self.stop)

    @property
    def _table(self) -> Positions:
        table = np.zeros((len(self._begin), len(Row)), np.int64)
        table[:, Row.SEEK] = self.seeks
        table[:, Row.BYTES] = self.sizes
        table[:, Row.ENTRIES] = self._end - self._begin
        table[:, Row.SKIP] = self._low - self._begin
        table[:, Row.TAKE] = self._high - self._low
        return table
