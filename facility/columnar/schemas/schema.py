"""A schema: the data that say which branches are fields of which object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from facility.columnar.errors import DatasetError, nearest
from facility.columnar.schemas.values import checked

_Pairs = tuple[tuple[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Schema:
    """How branch names become objects; compared and hashed by value.

    A branch belongs to the longest object that is known by ``counts`` or ``anchors``
    and begins its name; any other branch, to the object that ``pattern`` finds.
    """

    name: str
    pattern: str = r"(?P<object>[^\W_]+)_(?P<field>\w+)"
    """Regular expression of a whole branch name, with ``object`` and ``field``."""
    marker: str = ""
    """A file with a branch that this matches as a whole has the schema; none: never
    found by itself."""
    counts: tuple[str, ...] = ()
    """How the branch is called that says how many ``{object}`` an event has."""
    anchors: tuple[tuple[str, ...], ...] = ()
    """``X`` is an object if there are branches ``X_a`` for all ``a`` of one of them."""
    aliases: _Pairs = ()
    """Other names of objects: (alias, object)."""
    masses: _Pairs = ()
    """Masses of objects whose files store none, in the file's unit: (object, mass)."""

    @classmethod
    def from_mapping(cls, given: Mapping[str, Any]) -> Schema:
        """Return the schema that plain values (of YAML, say) describe.

        Raises:
            DatasetError: an unknown key, or a value that is none of its kind.
        """
        return cls(**{"name": "custom", **checked(given)})


def schema_named(
    given: str | Schema | Mapping[str, Any] | None, known: Mapping[str, Schema]
) -> Schema | None:
    """Return the schema that a person means; none is to be inferred from the file.

    Raises:
        DatasetError: no such name, or a mapping that describes none.
    """
    match given:
        case None | Schema():
            return given
        case str():
            if given in known:
                return known[given]
            near = ", ".join(nearest(given, known) or known)
            raise DatasetError(f"no schema {given!r}: did you mean {near}?")
        case _:
            return Schema.from_mapping(given)
