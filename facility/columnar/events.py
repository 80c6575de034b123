"""What an analysis is given: the columns of one chunk, read when they are touched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import awkward as ak

from facility.columnar.columns import Column, ColumnType, Offsets
from facility.columnar.errors import MissingBranchError, nearest
from facility.columnar.flattening import column_of_array, type_of_array
from facility.columnar.formats.base import ColumnFile
from facility.columnar.schemas import Objects, Schema, Shape, objects_of


class Events:
    """Entries ``start`` to ``stop`` of a file; ``events.NAME`` reads that column.

    A column is read once per chunk. ``events["NAME"]`` serves names that are not
    identifiers. ``events.Muon`` is a collection if the file's schema knows an object
    of that name (see :mod:`facility.columnar.schemas`) and no column is called so:
    ``events.Muon.pt`` is ``events["Muon_pt"]`` in NanoAOD.
    """

    def __init__(
        self, file: ColumnFile, start: int, stop: int, schema: Schema | None = None
    ) -> None:
        self._file = file
        self._start = start
        self._stop = stop
        self._schema = schema
        self._read: dict[str, ak.Array] = {}
        self._touched: dict[str, None] = {}

    def __len__(self) -> int:
        return self._stop - self._start

    def __getitem__(self, name: str) -> ak.Array:
        """Return a column.

        Raises:
            MissingBranchError: there is none; the nearest names are in the message.
        """
        if name not in self._read:
            self._touch(name)
            self._read[name] = self._file.read(name, self._start, self._stop)
        return self._read[name]

    def __getattr__(self, name: str) -> ak.Array | Collection:
        if name.startswith("_"):  # pickle and IPython look for such names
            raise AttributeError(name)
        if name in self.objects.collections:
            return Collection(self, name)
        return self[name]

    def __contains__(self, name: object) -> bool:
        return name in self._file.columns

    def __iter__(self) -> Iterator[str]:
        raise TypeError("events are columns, not rows: use events.NAME")

    def __dir__(self) -> list[str]:
        names = (*self.columns, *self.objects.collections)
        return [*super().__dir__(), *(n for n in names if n.isidentifier())]

    @property
    def columns(self) -> Sequence[str]:
        """Names of all columns of the file."""
        return self._file.columns

    @property
    def touched(self) -> tuple[str, ...]:
        """Names of the columns that were read, in that order."""
        return tuple(self._touched)

    @cached_property
    def objects(self) -> Objects:
        """What the columns are: collections and single objects, and their fields."""
        return objects_of(self._file.columns, self.type_of, self._schema)

    def type_of(self, name: str) -> ColumnType | None:
        """Return the type of a column, from metadata; none if it is not plain.

        Plain are numbers, and lists of numbers.

        Raises:
            MissingBranchError: there is no such column.
        """
        self._require(name)
        if hasattr(self._file, "type_of"):
            found: ColumnType | None = self._file.type_of(name)
            return found
        return type_of_array(self._file.read(name, 0, 0))

    def plain(
        self, names: Sequence[str], buffers: Any | None = None
    ) -> dict[str, Column]:
        """Return plain columns as flat arrays; lists of one object share offsets.

        Args:
            names: of columns whose :meth:`type_of` is not none.
            buffers: memory to use again: what is returned is then valid until the
                next call with the same ones.

        Raises:
            MissingBranchError: there is no such column.
        """
        for name in names:
            self._touch(name)
        if hasattr(self._file, "plain"):
            found: dict[str, Column] = self._file.plain(
                names, self._start, self._stop, buffers
            )
            return found
        return _shared({n: column_of_array(self[n]) for n in names})

    def _require(self, name: str) -> None:
        if name not in self._file.columns:
            raise self._missing(name)

    def _touch(self, name: str) -> None:
        self._require(name)
        self._touched[name] = None

    def _missing(self, name: str) -> MissingBranchError:
        near = nearest(name, [*self._file.columns, *self.objects.collections])
        hint = f"did you mean {', '.join(near)}?" if near else "events.columns has all"
        return MissingBranchError(f"{self._where} has no branch {name!r}: {hint}")

    @property
    def _where(self) -> str:
        return f"{self._file.identity.path}: {self._file.tree or 'the table'}"


def _shared(columns: dict[str, Column]) -> dict[str, Column]:
    """Return the columns with one offsets array for all that are equally long."""
    known: dict[bytes, Offsets] = {}
    return {
        name: Column(c.content, known.setdefault(c.offsets.tobytes(), c.offsets))
        if c.offsets is not None
        else c
        for name, c in columns.items()
    }


class Collection:
    """Objects of one kind: ``events.Muon.pt`` is a column, jagged if they are many.

    :func:`facility.columnar.leading` makes flat arrays of the first few.
    """

    def __init__(self, events: Events, name: str) -> None:
        self._events = events
        self._name = name

    @property
    def _shape(self) -> Shape:
        return self._events.objects.collections[self._name]

    def __getattr__(self, field: str) -> ak.Array:
        if field.startswith("__"):
            raise AttributeError(field)
        fields = self._shape.fields
        if field not in fields:
            near = nearest(field, fields)
            hint = f"did you mean {', '.join(near)}?" if near else "dir() lists them"
            raise MissingBranchError(
                f"{self._events._where}: {self._name} has no field {field!r}: {hint}"
            )
        return self._events[fields[field]]

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._shape.fields]
