"""What an analysis is given: the columns of one chunk, read when they are touched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import awkward as ak

from facility.columnar.errors import MissingBranchError, nearest
from facility.columnar.formats.base import ColumnFile


class Events:
    """Entries ``start`` to ``stop`` of a file; ``events.NAME`` reads that column.

    A column is read once per chunk. ``events["NAME"]`` serves names that are not
    identifiers. ``events.Muon`` is the collection of all columns ``Muon_*`` (unless
    a column has that very name): ``events.Muon.pt`` is ``events.Muon_pt``.
    """

    def __init__(self, file: ColumnFile, start: int, stop: int) -> None:
        self._file = file
        self._start = start
        self._stop = stop
        self._read: dict[str, ak.Array] = {}

    def __len__(self) -> int:
        return self._stop - self._start

    def __getitem__(self, name: str) -> ak.Array:
        """Return a column.

        Raises:
            MissingBranchError: there is none; the nearest names are in the message.
        """
        if name not in self._read:
            if name not in self._file.columns:
                raise self._missing(name)
            self._read[name] = self._file.read(name, self._start, self._stop)
        return self._read[name]

    def __getattr__(self, name: str) -> ak.Array | Collection:
        if name.startswith("_"):  # pickle and IPython look for such names
            raise AttributeError(name)
        if name not in self._file.columns and any(
            c.startswith(f"{name}_") for c in self._file.columns
        ):
            return Collection(self, name)
        return self[name]

    def __contains__(self, name: object) -> bool:
        return name in self._file.columns

    def __iter__(self) -> Iterator[str]:
        raise TypeError("events are columns, not rows: use events.NAME")

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(c for c in self.columns if c.isidentifier())]

    @property
    def columns(self) -> Sequence[str]:
        """Names of all columns of the file."""
        return self._file.columns

    @property
    def touched(self) -> tuple[str, ...]:
        """Names of the columns that were read, in that order."""
        return tuple(self._read)

    def _missing(self, name: str) -> MissingBranchError:
        collections = (c.partition("_")[0] for c in self._file.columns if "_" in c)
        near = nearest(name, [*self._file.columns, *collections])
        hint = f"did you mean {', '.join(near)}?" if near else "events.columns has all"
        return MissingBranchError(
            f"{self._file.identity.path}: {self._file.tree or 'the table'} has no "
            f"branch {name!r}: {hint}"
        )


class Collection:
    """The columns ``NAME_*`` of events: objects, a varying number per event.

    Each field is a jagged array; :func:`facility.columnar.leading` makes flat ones.
    """

    def __init__(self, events: Events, name: str) -> None:
        self._events = events
        self._name = name

    def __getattr__(self, field: str) -> ak.Array:
        if field.startswith("__"):
            raise AttributeError(field)
        return self._events[f"{self._name}_{field}"]

    def __dir__(self) -> list[str]:
        prefix = f"{self._name}_"
        names = (c.removeprefix(prefix) for c in self._events.columns if prefix in c)
        return [*super().__dir__(), *names]
