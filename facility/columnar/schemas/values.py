"""The keys and values of a schema, as YAML or a dict has them, looked at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from facility.columnar.errors import DatasetError, nearest


def checked(given: Any) -> dict[str, Any]:
    """Return the fields of a :class:`~facility.columnar.schemas.schema.Schema`.

    Lists become tuples, mappings tuples of pairs.

    Raises:
        DatasetError: it is no mapping, has an unknown key, or a value of another kind.
    """
    if not isinstance(given, Mapping):
        raise DatasetError(
            f"schema: expected a name, or keys and values, got {given!r}"
        )
    values: dict[str, Any] = {}
    for key, value in given.items():
        if key not in _KINDS:
            near = ", ".join(nearest(str(key), _KINDS) or _KINDS)
            raise DatasetError(f"schema: unknown key {key!r}: expected {near}")
        expected, read = _KINDS[key]
        try:
            values[key] = read(value)
        except (TypeError, ValueError) as error:
            why = f": {error}" if str(error) else ""
            raise DatasetError(
                f"schema: {key}: expected {expected}, got {value!r}{why}"
            ) from error
    return values


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise TypeError
    return tuple(map(_text, value))


def _lists(value: Any) -> tuple[tuple[str, ...], ...]:
    if not isinstance(value, list | tuple):
        raise TypeError
    return tuple(map(_texts, value))


def _names(value: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, Mapping):
        raise TypeError
    return tuple((_text(name), _text(other)) for name, other in value.items())


def _masses(value: Any) -> tuple[tuple[str, float], ...]:
    if not isinstance(value, Mapping):
        raise TypeError
    if any(
        isinstance(mass, bool) or not isinstance(mass, int | float)
        for mass in value.values()
    ):
        raise TypeError
    return tuple((_text(name), float(mass)) for name, mass in value.items())


def _expression(value: Any) -> str:
    try:
        re.compile(_text(value))
    except re.error as error:
        raise ValueError(str(error)) from error
    return str(value)


def _pattern(value: Any) -> str:
    expression = _expression(value)
    if not {"object", "field"} <= set(re.compile(expression).groupindex):
        raise ValueError("it needs the groups (?P<object>...) and (?P<field>...)")
    return expression


_KINDS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "name": ("a text", _text),
    "pattern": ("a regular expression", _pattern),
    "marker": ("a regular expression", _expression),
    "counts": ("a list of names", _texts),
    "anchors": ("a list of lists of names", _lists),
    "aliases": ("names for names of objects", _names),
    "masses": ("numbers for names of objects", _masses),
}
