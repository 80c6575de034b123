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

from facility.columnar.baskets.positions import Baskets, Layout, Lists, Positions
from facility.columnar.columns import ColumnType

FORMAT = 4
"""Changes whenever the bytes mean something else."""

_LENGTHS = struct.Struct("<III")
_PLAIN_KEYS = ("tree", "rntuple", "entries", "columns", "kinds")

_Kind = tuple[str, bool, str | None, int, tuple[str, int] | None]
"""Dtype, whether there are lists, what counts them, layout; dtype and layout of where
lists end, in an RNTuple."""

ReadBody = Callable[[int, int], bytes | None]
"""Gets first byte and size, returns those bytes, or none if they are gone."""


class _Row(IntEnum):
    KIND = 0
    """Position in the kinds; -1 if the column is not plain."""
    SIZE = 1
    """Uncompressed bytes; -1 if nobody says."""
    START = 2
    WORDS = 3
    CHECK = 4
    """Where its positions are in the body, how many integers, and their CRC-32."""


@dataclass(frozen=True, slots=True)
class PlannedColumn:
    """What metadata say of a column."""

    baskets: Baskets | Lists | None
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
            self._kinds: list[_Kind] = said["kinds"]
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
        dtype, is_jagged, counts, *_ = self._kinds[kind]
        return ColumnType(np.dtype(dtype), is_jagged, counts)

    def size_of(self, name: str) -> int | None:
        """Return the uncompressed bytes of the column; none if nobody says."""
        size = int(self._table[self._positions[name], _Row.SIZE])
        return size if size >= 0 else None

    def baskets(self, name: str) -> Baskets | Lists | None:
        """Return where the column's baskets are; none if it is not plain.

        Raises:
            LookupError: the body is gone or damaged.
        """
        plain = self.type_of(name)
        if plain is None:
            return None
        kind, _, start, words, check = self._table[self._positions[name]].tolist()
        positions = self._body(start, 8 * words)
        if positions is None or zlib.crc32(positions) != check:
            raise LookupError(f"the positions of {name!r} are gone")
        *_, layout, ends = self._kinds[kind]
        content, rest = _baskets(plain, layout, np.frombuffer(positions, "<i8"))
        if ends is None:
            return content
        dtype, layout = ends
        numbers = ColumnType(np.dtype(dtype), is_jagged=False)
        found, rest = _baskets(numbers, layout, rest)
        return Lists(content, found, *np.split(rest, 2))


def _baskets(
    plain: ColumnType, layout: int, words: Positions
) -> tuple[Baskets, Positions]:
    """Return the baskets that are first among the words, and the rest of these."""
    number = int(words[0])
    seeks, sizes = words[1 : number + 1], words[number + 1 : 2 * number + 1]
    entries, rest = words[2 * number + 1 : 3 * number + 2], words[3 * number + 2 :]
    return Baskets(plain, Layout(layout), seeks, sizes, entries), rest


def _words(column: Baskets | Lists) -> list[Positions]:
    """Return what :func:`_baskets` reads, and of lists what is after it."""
    if isinstance(column, Lists):
        rest = [column.events, column.numbers]
        return [*_words(column.content), *_words(column.ends), *rest]
    number = np.array([len(column.seeks)])
    return [number, column.seeks, column.sizes, column.entries]


def _kind(column: Baskets | Lists) -> _Kind:
    plain = column.type
    about = plain.dtype.str, plain.is_jagged, plain.counts
    if isinstance(column, Lists):
        ends = column.ends.type.dtype.str, int(column.ends.layout)
        return *about, int(column.content.layout), ends
    return *about, int(column.layout), None


def write_plan(
    tree: str,
    columns: Mapping[str, PlannedColumn],
    boundaries: Iterable[int],
    entries: int,
    *,
    is_rntuple: bool,
) -> tuple[bytes, bytes]:
    """Return index and body of a plan."""
    kinds: dict[_Kind, int] = {}
    table = np.full((len(columns), len(_Row)), -1, "<i8")
    body = bytearray()
    for row, column in zip(table, columns.values(), strict=True):
        if column.size_bytes is not None:
            row[_Row.SIZE] = column.size_bytes
        baskets = column.baskets
        if baskets is None:
            continue
        row[_Row.KIND] = kinds.setdefault(_kind(baskets), len(kinds))
        part = np.concatenate(_words(baskets)).astype("<i8").tobytes()
        row[_Row.START], row[_Row.WORDS] = len(body), len(part) // 8
        row[_Row.CHECK] = zlib.crc32(part)
        body += part
    said = (tree, is_rntuple, entries, list(columns), list(kinds))
    text = json.dumps(dict(zip(_PLAIN_KEYS, said, strict=True))).encode()
    clusters = np.array(list(boundaries), "<i8")
    lengths = _LENGTHS.pack(len(text), len(table), len(clusters))
    index = lengths + text + table.tobytes() + clusters.tobytes()
    return index, bytes(body)
