"""What an analysis is given: the columns of one chunk, read when they are touched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property

import awkward as ak

from facility.columnar.backends import where_wanted
from facility.columnar.buffers import Buffers
from facility.columnar.columns import Column, ColumnType
from facility.columnar.errors import (
    MissingBranchError,
    ReadError,
    nearest,
    one_line,
)
from facility.columnar.formats.base import ColumnFile
from facility.columnar.schemas import Objects, Schema, Shape, objects_of
from facility.errors import FacilityError


class Events:
    """Entries ``start`` to ``stop`` of a file; ``events.NAME`` reads that column.

    A column is read once per chunk. ``events["NAME"]`` serves names that are not
    identifiers. ``events.Muon`` is a collection if the file's schema knows an object
    of that name (see :mod:`facility.columnar.schemas`) and no column is called so:
    ``events.Muon.pt`` is ``events["Muon_pt"]`` in NanoAOD.

    Args:
        file: an open one.
        start: the first entry.
        stop: the one after the last.
        schema: by which names of branches become objects; none: seen from the names.
        expected: columns that will be touched: of those with lists that one branch
            counts, all are read when the first one is touched.
    """

    def __init__(
        self,
        file: ColumnFile,
        start: int,
        stop: int,
        schema: Schema | None = None,
        expected: Sequence[str] = (),
    ) -> None:
        self._file = file
        self._start = start
        self._stop = stop
        self._schema = schema
        self._expected = expected
        self._read: dict[str, ak.Array] = {}
        self._touched: dict[str, None] = {}

    def __len__(self) -> int:
        return self._stop - self._start

    def __getitem__(self, name: str) -> ak.Array:
        """Return a column, in the memory of the GPU if ``cuda`` was demanded.

        Raises:
            MissingBranchError: there is none; the nearest names are in the message.
            ReadError: its bytes cannot be read.
        """
        if name not in self._touched:
            self._touch(name)
        if name not in self._read:
            together = self._together(name)
            with self._reading(", ".join(together)):
                found = self._file.read_together(together, self._start, self._stop)
            self._read |= {n: where_wanted(column) for n, column in found.items()}
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
        # Not our own type_of: in a circle, a chunk's memory would wait for the
        # garbage collector.
        return objects_of(self._file.columns, self._file.type_of, self._schema)

    def type_of(self, name: str) -> ColumnType | None:
        """Return the type of a column, from metadata; none if it is not plain.

        Plain are numbers, and lists of numbers.

        Raises:
            MissingBranchError: there is no such column.
        """
        self._require(name)
        return self._file.type_of(name)

    def plain(
        self,
        names: Sequence[str],
        buffers: Buffers | None = None,
        contents: Sequence[str] = (),
    ) -> dict[str, Column]:
        """Return plain columns as flat arrays; lists of one object share offsets.

        Args:
            names: of columns whose :meth:`type_of` is not none.
            buffers: memory to use again: what is returned is then valid until the
                next call with the same ones.
            contents: jagged ones of the names of which the numbers of all events, one
                after another, are enough: they come without offsets, in less time.

        Raises:
            MissingBranchError: there is no such column.
            ChunkError: the bytes cannot be read, or values are missing.
        """
        for name in names:
            self._touch(name)
        with self._reading(", ".join(names)):
            return self._file.plain(names, self._start, self._stop, buffers, contents)

    @contextmanager
    def _reading(self, what: str) -> Iterator[None]:
        """Name file, entries and columns in whatever reading raises."""
        try:
            yield
        except FacilityError:
            raise
        except Exception as error:  # damaged bytes lead a reader to anything
            raise ReadError(
                f"entries {self._start}..{self._stop} of {self._file.identity.path}: "
                f"{what} cannot be read ({one_line(error)}): copy the file again"
            ) from error

    def name_of(self, at: int) -> str:
        """Name one of the events as in an error message."""
        return f"entry {self._start + at} of {self._file.identity.path}"

    def _together(self, name: str) -> list[str]:
        """Return the column and those expected with lists of the same lengths."""
        kind = self._file.type_of(name)
        if kind is None or kind.counts is None:
            return [name]
        others = (n for n in self._expected if n != name and n in self)
        types = ((n, self._file.type_of(n)) for n in others)
        return [name, *(n for n, t in types if t and t.counts == kind.counts)]

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
