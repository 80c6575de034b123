"""Branch names into objects and their fields; names only, no file is asked."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from dataclasses import dataclass
from functools import lru_cache

from facility.columnar.schemas.experiments import INFERRED, SCHEMAS
from facility.columnar.schemas.schema import Schema


@dataclass(frozen=True, slots=True)
class Group:
    """The branches of one object."""

    fields: dict[str, str]
    """Branch by field, in the order of the file."""
    is_within: bool
    """Whether the branches are ``NAME.field``: a branch NAME is then their parent."""


@lru_cache(maxsize=32)
def schema_of(columns: tuple[str, ...]) -> Schema:
    """Return the schema whose marker is among the names, or the inferred one.

    Remembered, as :func:`groups`.
    """
    for schema in SCHEMAS.values():
        if schema.marker:
            is_marked = re.compile(schema.marker).fullmatch
            if any(is_marked(name) for name in columns):
                return schema
    return INFERRED


@lru_cache(maxsize=32)
def groups(columns: tuple[str, ...], schema: Schema) -> dict[str, Group]:
    """Return the objects by name.

    Remembered, as the files of a dataset have the same names: 2,600 take 10 ms.
    """
    names = dict.fromkeys(columns)
    counters = _counters(names, schema)
    # uproot counts every branch (nMuon_pt): a branch is no object.
    known = {*counters.values()} - {*names} | {*_anchored(names, schema)}
    fields: dict[str, dict[str, str]] = {}
    is_part = re.compile(schema.pattern).fullmatch
    within: set[str] = set()
    for name in names:
        if name in counters:
            continue
        if owner := _owner(name, known):
            fields.setdefault(owner, {}).setdefault(name[len(owner) + 1 :], name)
        elif found := is_part(name):
            fields.setdefault(found["object"], {}).setdefault(found["field"], name)
            if name[found.start("field") - 1] == ".":
                within.add(found["object"])
    return {owner: Group(members, owner in within) for owner, members in fields.items()}


def _counters(names: dict[str, None], schema: Schema) -> dict[str, str]:
    """Return the object, or the branch, that each counting branch counts."""
    counted = {name[: m.start()] for name in names for m in re.finditer("[_.]", name)}
    counted.update(names)
    counters: dict[str, str] = {}
    for form in schema.counts:
        is_counter = re.compile(re.escape(form).replace(r"\{object\}", r"(\w+)"))
        for name in names:
            found = is_counter.fullmatch(name)
            if found and found[1] in counted:
                counters.setdefault(name, found[1])
    return counters


def _anchored(names: dict[str, None], schema: Schema) -> Iterator[str]:
    """Yield the objects that anchors tell."""
    for first, *others in schema.anchors:
        for name in names:
            owner = name.removesuffix(f"_{first}")
            if owner != name and all(f"{owner}_{other}" in names for other in others):
                yield owner


def _owner(name: str, known: Container[str]) -> str | None:
    end = name.rfind("_")
    while end > 0:
        if name[:end] in known:
            return name[:end]
        end = name.rfind("_", 0, end)
    return None
