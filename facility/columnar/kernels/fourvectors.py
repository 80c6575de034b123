"""Four-vectors as arrays: ``(a + b).mass``, ``a.delta_r(b)``, as in a fused kernel.

Arithmetic is float64, whatever the columns hold.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import awkward as ak
import numpy as np

from facility.columnar.kernels.angles import delta_phi
from facility.columnar.kernels.arrays import doubles, selected_lists
from facility.columnar.kernels.columns import FlatColumns
from facility.columnar.kernels.kinematics import (
    CARTESIAN,
    COMPONENTS,
    COORDINATES,
    PROPERTIES,
    Kinematics,
    delta_r,
)

NAME = "FourVector"
"""Of the records, in awkward's types."""


def four_vectors(**fields: Any) -> ak.Array:
    """Return records with four-vector properties.

    ``four_vectors(pt=..., eta=..., phi=..., mass=..., charge=...)``: the fields of
    ``pt eta phi mass``, ``pt eta phi energy``, ``px py pz energy`` or ``px py pz mass``
    and any others, arrays or numbers that broadcast (flat, or jagged with equal
    counts). Nothing is computed and no column is copied.

    Raises:
        ValueError: no set of coordinates is complete, or counts differ.
    """
    if not any(set(fields) >= set(names) for names in COORDINATES):
        sets = ", or ".join(" ".join(names) for names in COORDINATES)
        raise ValueError(f"expected the fields {sets}; got {' '.join(fields)}")
    return ak.zip(fields, with_name=NAME)


def with_cartesian(objects: ak.Array) -> ak.Array:
    """Return the records with ``px py pz energy`` computed once, as fields.

    Worth it before objects are used many times: combinations do it by themselves.
    """
    columns = FlatColumns.of(objects, COMPONENTS)
    if columns is not None:
        vectors = _FlatVectors(columns)
        computed = {name: getattr(vectors, name) for name in CARTESIAN}
        return ak.Array(columns.with_fields(computed))
    fields = {name: objects[name] for name in ak.fields(objects)}
    fields |= {name: getattr(objects, name) for name in CARTESIAN}
    return ak.zip(fields, depth_limit=2, with_name=NAME)


def total(objects: ak.Array) -> ak.Array:
    """Return one four-vector per event: the sum of all its objects (zero of none)."""
    return ak.zip(
        {name: ak.sum(getattr(objects, name), axis=-1) for name in CARTESIAN},
        with_name=NAME,
    )


class _FlatVectors(Kinematics):
    """The formulas on flat columns."""

    def __init__(self, columns: FlatColumns) -> None:
        self._columns = columns

    def _has(self, name: str) -> bool:
        return name in self._columns.fields

    def _field(self, name: str) -> Any:
        return self._columns[name]


class _Records(Kinematics):
    """The formulas on awkward records as they are."""

    def _has(self, name: str) -> bool:
        return name in ak.fields(self)

    def _field(self, name: str) -> Any:
        return doubles(self[name])  # type: ignore[index]

    def delta_phi(self, other: Any) -> Any:
        """Return the difference in phi, in [-pi, pi)."""
        return _of_both(self, other, lambda a, b: delta_phi(a.phi, b.phi))

    def delta_r(self, other: Any) -> Any:
        """Return ``sqrt(delta_eta^2 + delta_phi^2)``."""
        return _of_both(self, other, delta_r)

    def __add__(self, other: Any) -> ak.Array:
        both = _columns_of_both(self, other)
        if both is None:
            sums = {n: getattr(self, n) + getattr(other, n) for n in CARTESIAN}
            return ak.zip(sums, with_name=NAME)
        first, second = both
        contents = [
            ak.contents.NumpyArray(_sum(first, second, name)) for name in CARTESIAN
        ]
        record = {"__record__": NAME}
        records = ak.contents.RecordArray(contents, list(CARTESIAN), parameters=record)
        return ak.Array(first.shaped(records))


class FourVectorArray(_Records, ak.Array):
    """Records named ``FourVector``, flat or jagged."""

    def __getitem__(self, where: Any) -> Any:
        """Return what ``ak.Array`` does; a jagged mask gathers no field by itself."""
        if isinstance(where, ak.Array):
            selected = selected_lists(self, where)
            if selected is not None:
                return selected
        return super().__getitem__(where)


class FourVectorRecord(_Records, ak.Record):
    """One of them."""


def _computed_flat(name: str) -> property:
    """Return the property of that name, computed on flat columns where they are."""
    formula = getattr(Kinematics, name)

    def value(vectors: FourVectorArray) -> Any:
        columns = FlatColumns.of(vectors, COMPONENTS)
        if columns is None:
            return formula.fget(vectors)
        return columns.numbers(getattr(_FlatVectors(columns), name))

    return property(value, doc=formula.__doc__)


for _name in PROPERTIES:
    setattr(FourVectorArray, _name, _computed_flat(_name))

ak.behavior[NAME] = FourVectorRecord
ak.behavior["*", NAME] = FourVectorArray


def _columns_of_both(first: Any, second: Any) -> tuple[FlatColumns, FlatColumns] | None:
    """Return both as columns if they are vectors of equal counts, and plain."""
    both = (first, second)
    if not all(isinstance(vectors, FourVectorArray) for vectors in both):
        return None
    a, b = (FlatColumns.of(vectors, COMPONENTS) for vectors in both)
    return (a, b) if a is not None and b is not None and a.is_like(b) else None


def _sum(first: FlatColumns, second: FlatColumns, name: str) -> Any:
    one, other = (getattr(_FlatVectors(columns), name) for columns in (first, second))
    # New memory costs more than the sum does: what was gathered is ours to overwrite.
    ours = one if first.gathers else other if second.gathers else None
    return np.add(one, other, out=ours)


def _of_both(first: Any, second: Any, formula: Callable[[Any, Any], Any]) -> Any:
    both = _columns_of_both(first, second)
    if both is None:
        return formula(first, second)
    return both[0].numbers(formula(*map(_FlatVectors, both)))
