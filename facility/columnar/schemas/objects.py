"""The objects of a file: what ``event.Muon`` is and where its fields are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from facility.columnar.columns import ColumnType
from facility.columnar.schemas.coordinates import (
    Coordinates,
    canonical,
    coordinates_of,
)
from facility.columnar.schemas.grouping import groups, schema_of
from facility.columnar.schemas.schema import Schema

TypeOf = Callable[[str], ColumnType | None]
"""What a file knows of a column without reading it; none if it is not plain."""


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of object in an event: one (``MET``) or a list of them (``Muon``)."""

    name: str
    fields: Mapping[str, str]
    """Branch by field: as the file spells them, and the components of the
    four-momentum by their own names too (``mass`` where the file says ``m``)."""
    is_jagged: bool
    """Whether an event has a list of them."""
    counts: str | None
    """The branch that says how many, if the file itself says so: what is only called
    ``nMuon`` may be from before the objects were selected."""
    coordinates: Coordinates | None
    """Its four-momentum, if the fields make one."""


@dataclass(frozen=True, slots=True)
class Objects:
    """The objects of a file."""

    schema: Schema
    """By which they were found."""
    collections: Mapping[str, Shape]
    """By name, aliases included. A shape is made when it is asked for, and takes the
    type of one of its branches."""


class _Shapes(Mapping[str, Shape]):
    def __init__(self, columns: tuple[str, ...], types: TypeOf, schema: Schema) -> None:
        self._types = types
        self._masses = dict(schema.masses)
        found, taken = groups(columns, schema), set(columns)
        self._groups = {
            name: group
            for name, group in found.items()
            # A column of that very name is meant, unless it is the fields' parent.
            if group.is_within or name not in taken
        }
        for alias, name in schema.aliases:
            if name in self._groups and alias not in taken:
                self._groups.setdefault(alias, self._groups[name])
        self._names = dict(schema.aliases)
        self._made: dict[str, Shape] = {}

    def __getitem__(self, name: str) -> Shape:
        if name not in self._made:
            self._made[name] = self._shape(name)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._groups)

    def __len__(self) -> int:
        return len(self._groups)

    def __contains__(self, name: object) -> bool:
        return name in self._groups

    def _shape(self, name: str) -> Shape:
        group = self._groups[name]
        real = self._names.get(name, name)
        stored = coordinates_of(group.fields, self._masses.get(real))
        # The components tell, where there are any: what else is stored beside them
        # (how many there are, lists of a candidate's daughters) may differ.
        spelled = {k: group.fields[f] for k, f in canonical(group.fields).items()}
        tells = (*spelled.values(), *group.fields.values())
        kind = next((t for n in tells if (t := self._types(n)) is not None), None)
        is_jagged = kind is not None and kind.is_jagged
        return Shape(
            real,
            {**spelled, **group.fields},
            is_jagged,
            kind.counts if is_jagged and kind else None,
            stored,
        )


def objects_of(
    columns: Sequence[str], types: TypeOf, schema: Schema | None = None
) -> Objects:
    """Return the objects that columns make, by a schema or the one they look like.

    Args:
        columns: names of all columns of a file.
        types: says what a column is; asked for few columns, when they are needed.
        schema: none infers it from the names.
    """
    names = tuple(columns)
    schema = schema_of(names) if schema is None else schema
    return Objects(schema, _Shapes(names, types, schema))
