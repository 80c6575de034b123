"""Where the pages of an RNTuple's fields are, and whether compiled code can read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from facility.columnar.baskets.positions import Baskets, Layout, Lists, Positions
from facility.columnar.columns import ColumnType

# "Column Description" and "Column Encodings" in ROOT's
# tree/ntuple/doc/BinaryFormatSpecification.md: what is not here (half of a variant,
# floats of fewer bits) is read by uproot.
_Encodings = Mapping[int, tuple[str, Layout]]
_ENCODINGS: _Encodings = {
    0x00: ("?", Layout.BITS),
    0x03: ("i1", Layout.PLAIN),
    0x04: ("u1", Layout.PLAIN),
    0x05: ("i2", Layout.PLAIN),
    0x06: ("u2", Layout.PLAIN),
    0x07: ("i4", Layout.PLAIN),
    0x08: ("u4", Layout.PLAIN),
    0x09: ("i8", Layout.PLAIN),
    0x0A: ("u8", Layout.PLAIN),
    0x0C: ("f4", Layout.PLAIN),
    0x0D: ("f8", Layout.PLAIN),
    0x11: ("i2", Layout.ZIGZAG),
    0x12: ("u2", Layout.SPLIT),
    0x13: ("i4", Layout.ZIGZAG),
    0x14: ("u4", Layout.SPLIT),
    0x15: ("i8", Layout.ZIGZAG),
    0x16: ("u8", Layout.SPLIT),
    0x18: ("f4", Layout.SPLIT),
    0x19: ("f8", Layout.SPLIT),
}
_ENDS: _Encodings = {
    0x0E: ("i4", Layout.PLAIN),
    0x0F: ("i8", Layout.PLAIN),
    0x1A: ("i4", Layout.DELTA),
    0x1B: ("i8", Layout.DELTA),
}
_COLLECTION = 1
"""As a field's structural role."""


class Pages:
    """The pages of uproot's RNTuple."""

    def __init__(self, tree: Any) -> None:
        self._fields = tree.field_records
        self._links = tree.page_link_list
        self._columns: dict[int, list[Any]] = {}
        for column in tree.column_records:
            self._columns.setdefault(column.field_id, []).append(column)
        self._items: dict[int, list[int]] = {}
        for number, record in enumerate(self._fields):
            if record.parent_field_id != number:
                self._items.setdefault(record.parent_field_id, []).append(number)
        self._counts = {
            record.source_field_id: str(record.field_name)
            for number, record in enumerate(self._fields)
            if _is_count(record) and record.parent_field_id == number
        }
        clusters = tree.cluster_summaries
        counts = [0, *(int(c.num_entries) for c in clusters)]
        self._events = np.cumsum(counts, dtype=np.int64)
        """Before each cluster, and all."""
        firsts = [int(c.num_first_entry) for c in clusters]
        self._is_in_order = firsts == self._events[:-1].tolist()

    def counts(self, field: int) -> str | None:
        """Return the column that says how long a field's lists are, if there is one."""
        record = self._fields[field]
        source = field if record.source_field_id is None else record.source_field_id
        return self._counts.get(source)

    def of(self, field: int, plain: ColumnType) -> Baskets | Lists | None:
        """Return where a plain field, by its number, has its pages.

        None if compiled code cannot read it: its encoding is another, it has several,
        it was added after the first cluster, or is the lengths of lists.
        """
        if not self._is_in_order:
            return None
        if not plain.is_jagged:
            return self._one_per_event(field, plain, _ENCODINGS)
        items = self._items.get(field, [])
        if self._fields[field].struct_role != _COLLECTION or len(items) != 1:
            return None
        ends = self._one_per_event(field, None, _ENDS)
        content = self._column(items[0], plain, _ENCODINGS)
        if ends is None or content is None:
            return None
        return Lists(content[0], ends, self._events, content[1])

    def _one_per_event(
        self, field: int, plain: ColumnType | None, encodings: _Encodings
    ) -> Baskets | None:
        found = self._column(field, plain, encodings)
        if found is None or not np.array_equal(found[1], self._events):
            return None
        return found[0]

    def _column(
        self, field: int, plain: ColumnType | None, encodings: _Encodings
    ) -> tuple[Baskets, Positions] | None:
        """Return the pages of a field's one column, and elements before each cluster.

        Args:
            field: its number.
            plain: what it is to be; whatever its encoding says if none.
            encodings: that will do.
        """
        record = self._fields[field]
        # Projected: another name for what that field has.
        source = field if record.source_field_id is None else record.source_field_id
        columns = self._columns.get(source, [])
        if record.repetition or _is_count(record):
            return None
        if len(columns) != 1 or columns[0].type not in encodings:
            return None
        name, layout = encodings[columns[0].type]
        kind = plain or ColumnType(np.dtype(name), is_jagged=False)
        at = columns[0].idx
        if kind.dtype != np.dtype(name) or any(
            at >= len(links) for links in self._links
        ):
            return None
        clusters = [links[at] for links in self._links]
        if any(links.suppressed for links in clusters):
            return None
        pages = [page for links in clusters for page in links.pages]
        before = [0, *(sum(p.num_elements for p in c.pages) for c in clusters)]
        baskets = Baskets(
            kind,
            layout,
            np.array([p.locator.offset for p in pages], np.int64),
            np.array([p.locator.num_bytes for p in pages], np.int64),
            np.cumsum([0, *(p.num_elements for p in pages)], dtype=np.int64),
        )
        return baskets, np.cumsum(before, dtype=np.int64)


def _is_count(record: Any) -> bool:
    return "RNTupleCardinality" in record.type_name
