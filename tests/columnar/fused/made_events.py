"""Events made up in memory, and what was filled from them as plain arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from hypothesis import strategies as st

from facility.columnar import Events
from facility.columnar.columns import Column, ColumnType
from facility.columnar.formats.base import FileIdentity


class MadeFile:
    """Columns in memory, as a file has them."""

    identity = FileIdentity("made-up.root", "", 0, 0)
    tree = "Events"

    def __init__(self, columns: Mapping[str, Column]) -> None:
        self._columns = dict(columns)
        self.columns = list(columns)

    def type_of(self, name: str) -> ColumnType | None:
        column = self._columns[name]
        counts = f"n{name.partition('_')[0]}"
        is_jagged = column.offsets is not None
        is_counted = is_jagged and counts in self._columns
        return ColumnType(
            column.content.dtype, is_jagged, counts if is_counted else None
        )

    def plain(self, names, start, stop, buffers=None, contents=()) -> dict[str, Column]:
        parts = {name: _part(self._columns[name], start, stop) for name in names}
        return parts | {name: Column(parts[name].content) for name in contents}


def _part(column: Column, start: int, stop: int) -> Column:
    if column.offsets is None:
        return Column(column.content[start:stop])
    offsets = column.offsets[start : stop + 1]
    content = column.content[offsets[0] : offsets[-1]]
    return Column(content, offsets - offsets[0])


def events_of(columns: Mapping[str, Column]) -> Events:
    """Return all events of columns."""
    first = next(iter(columns.values()))
    return Events(MadeFile(columns), 0, len(first))


SPECIAL = np.array(
    [0.0, -0.0, 1.0, 30.0, 30.0, np.pi, -np.pi, np.nan, np.inf, -np.inf, 1e30]
)
"""Ties, edges, wraps, and what is no number."""


class _Maker:
    """Draws columns; every so many numbers is a special one."""

    def __init__(self, seed: int, events: int, special: float) -> None:
        self._random = np.random.default_rng(seed)
        self._events = events
        self._special = special
        self.columns: dict[str, Column] = {}

    def offsets(self, mean: float) -> np.ndarray:
        counts = self._random.poisson(mean, self._events)
        return np.concatenate(([0], np.cumsum(counts))).astype(np.int64)

    def floats(self, name, low, high, offsets=None, dtype="f4") -> None:
        size = self._events if offsets is None else offsets[-1]
        values = self._random.uniform(low, high, size)
        odd = self._random.random(size) < self._special
        values[odd] = self._random.choice(SPECIAL, odd.sum())
        self.columns[name] = Column(values.astype(dtype), offsets)

    def integers(self, name, low, high, dtype, offsets=None) -> None:
        size = self._events if offsets is None else offsets[-1]
        values = self._random.integers(low, high, size, endpoint=True)
        self.columns[name] = Column(values.astype(dtype), offsets)


def made(seed: int, events: int, mean: float = 2.0, special: float = 0.1) -> Events:
    """Make events with muons, electrons, jets and single numbers."""
    maker = _Maker(seed, events, special)
    for name in ("Muon", "Electron", "Jet"):
        offsets = maker.offsets(mean)
        maker.columns[f"n{name}"] = Column(np.diff(offsets).astype(np.uint32))
        maker.floats(f"{name}_pt", 0, 100, offsets)
        maker.floats(f"{name}_eta", -3, 3, offsets)
        maker.floats(f"{name}_phi", -4, 4, offsets)
        maker.floats(f"{name}_mass", 0, 20, offsets)
        maker.integers(f"{name}_charge", 0, 1, "i4", offsets)
        maker.integers(f"{name}_tight", 0, 1, "?", offsets)
        maker.integers(f"{name}_flags", 0, 255, "u1", offsets)
        charges = maker.columns[f"{name}_charge"].content
        charges *= 2
        charges -= 1
    maker.floats("Jet_btag", 0, 1, offsets)
    maker.floats("MET_pt", 0, 100)
    maker.floats("MET_phi", -4, 4)
    maker.floats("weight", -2, 2, dtype="f8")
    maker.integers("run", 0, 2**40, "u8")
    maker.integers("small", -9, 9, "i2")
    maker.floats("x", -1e3, 1e3, dtype="f8")
    maker.integers("good", 0, 1, "?")
    maker.floats("scales", 0, 2, maker.offsets(1.5))
    return events_of(maker.columns)


def made_events(most: int = 12) -> st.SearchStrategy[Events]:
    """Return a strategy that makes a few events."""
    return st.builds(
        made,
        st.integers(0, 2**32),
        st.integers(1, most),
        st.sampled_from([0.3, 1.0, 2.0, 4.0]),
        st.sampled_from([0.0, 0.05, 0.3]),
    )


def contents(filled: Any) -> list[np.ndarray]:
    """Return the bins of one histogram or several, flow and variances included."""
    several = filled.values() if isinstance(filled, dict) else [filled]
    plain = []
    for histogram in several:
        view = histogram.view(flow=True)
        fields = view.dtype.names
        plain += [view[f] for f in fields] if fields else [np.asarray(view)]
    return plain


def assert_same_bits(one: Any, other: Any) -> None:
    for a, b in zip(contents(one), contents(other), strict=True):
        np.testing.assert_array_equal(a, b)
