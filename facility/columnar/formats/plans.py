"""What reading needs to know of a ROOT file, in a form that loads in no time.

A plan is two byte strings. The *index* says all but where baskets are: JSON, then a
table of integers with a row per column, then the cluster boundaries. The *body* has
the positions of baskets, of which only those that are read are ever looked at.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

import numpy as np

from facility.columnar.baskets.positions import Baskets, Layout
from facility.columnar.columns import ColumnType

FORMAT = 1
"""Changes whenever the bytes mean something else."""

_LENGTHS = struct.Struct("<III")
_PLAIN_KEYS = ("tree", "rntuple", "entries", "columns", "kinds")

ReadBody = Callable[[int, int], bytes | None]
"""Gets first byte and size, returns those bytes, or none if they are gone."""


class _Row(IntEnum):
    KIND = 0
    """Position in the kinds; -1 if the column is not plain."""
    SIZE = 1
    """Uncompressed bytes; -1 if nobody says."""
    START = 2
    BASKETS = 3
    CHECK = 4
    """Where its positions are in the body, of how many baskets, and their CRC-32."""


@dataclass(frozen=True, slots=True)
class PlannedColumn:
    """What metadata say of a column."""

    baskets: Baskets | None
    """None if it is not plain; without any baskets if uproot has to read it."""
    size_bytes: int | None
    """Uncompressed bytes."""


class FilePlan:
    """The metadata of one tree of one file; many threads may share it."""

    def __init__(self, index: bytes, body: ReadBody) -> None:
        """Read the index; the body is read when baskets are asked for.

        Raises:
            ValueError: that is no index of this format.
        """
        try:
            text, rows, clusters = _LENGTHS.unpack_from(index)
            said = json.loads(index[_LENGTHS.size : _LENGTHS.size + text])
            start = _LENGTHS.size + text
            self._table = np.frombuffer(index, "<i8", rows * len(_Row), start).reshape(
                rows, len(_Row)
            )
            start += self._table.nbytes
            self._boundaries = np.frombuffer(index, "<i8", clusters, start)
            self.tree: str = said["tree"]
            self.is_rntuple: bool = said["rntuple"]
            self.entries: int = said["entries"]
            self.columns = tuple(str(name) for name in said["columns"])
            self._kinds: list[tuple[str, bool, str | None, int]] = said["kinds"]
        except (struct.error, KeyError, UnicodeDecodeError) as error:
            raise ValueError(f"not an index of a plan: {error}") from error
        self._body = body

    @property
    def boundaries(self) -> list[int]:
        """Entries at which clusters begin, from 0 to ``entries``."""
        return [int(b) for b in self._boundaries.tolist()]

    @cached_property
    def _positions(self) -> Mapping[str, int]:
        return {name: i for i, name in enumerate(self.columns)}

    def __contains__(self, name: str) -> bool:
        return name in self._positions

    def type_of(self, name: str) -> ColumnType | None:
        """Return the column's type; none if it is not plain."""
        kind = int(self._table[self._positions[name], _Row.KIND])
        if kind < 0:
            return None
        dtype, is_jagged, counts, _ = self._kinds[kind]
        return ColumnType(np.dtype(dtype), is_jagged, counts)

    def size_of(self, name: str) -> int | None:
        """Return the uncompressed bytes of the column; none if nobody says."""
        size = int(self._table[self._positions[name], _Row.SIZE])
        return size if size >= 0 else None

    def baskets(self, name: str) -> Baskets | None:
        """Return where the column's baskets are; none if it is not plain.

        Raises:
            LookupError: the body is gone or damaged.
        """
        plain = self.type_of(name)
        if plain is None:
            return None
        kind, _, start, number, check = self._table[self._positions[name]].tolist()
        positions = self._body(start, 8 * (3 * number + 1))
        if positions is None or zlib.crc32(positions) != check:
            raise LookupError(f"the positions of {name!r} are gone")
        parts = np.frombuffer(positions, "<i8")
        return Baskets(
            plain,
            Layout(self._kinds[kind][3]),
            parts[:number],
            parts[number : 2 * number],
            parts[2 * number :],
        )


def write_plan(
    tree: str,
    columns: Mapping[str, PlannedColumn],
    boundaries: Iterable[int],
    entries: int,
    *,
    is_rntuple: bool,
) -> tuple[bytes, bytes]:
    """Return index and body of a plan."""
    kinds: dict[tuple[str, bool, str | None, int], int] = {}
    table = np.full((len(columns), len(_Row)), -1, "<i8")
    body = bytearray()
    for row, column in zip(table, columns.values(), strict=True):
        if column.size_bytes is not None:
            row[_Row.SIZE] = column.size_bytes
        baskets = column.baskets
        if baskets is None:
            continue
        plain = baskets.type
        kind = (plain.dtype.str, plain.is_jagged, plain.counts, int(baskets.layout))
        row[_Row.KIND] = kinds.setdefault(kind, len(kinds))
        positions = np.concatenate([baskets.seeks, baskets.sizes, baskets.entries])
        part = positions.astype("<i8").tobytes()
        row[_Row.START], row[_Row.BASKETS] = len(body), len(baskets.seeks)
        row[_Row.CHECK] = zlib.crc32(part)
        body += part
    said = (tree, is_rntuple, entries, list(columns), list(kinds))
    text = json.dumps(dict(zip(_PLAIN_KEYS, said, strict=True))).encode()
    clusters = np.array(list(boundaries), "<i8")
    lengths = _LENGTHS.pack(len(text), len(table), len(clusters))
    index = lengths + text + table.tobytes() + clusters.tobytes()
    return index, bytes(body)
