"""Events, objects and histograms in plain Python: what a body is given there."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from facility.columnar.columns import Column, Offsets
from facility.columnar.events import Events
from facility.columnar.fused.axes import Axis, layout_of
from facility.columnar.fused.plain import FORMULAS
from facility.columnar.fused.requiring import (
    not_plain,
    require_equal_lists,
    require_signed,
)
from facility.columnar.fused.vectors import (
    COMPONENTS,
    CONVERSIONS,
    METHODS,
    ROOTS,
)
from facility.columnar.fused.vectors import (
    FORMULAS as OF_ONE,
)
from facility.columnar.schemas import Shape


class Reader:
    """Columns of a chunk, read when a body asks for them."""

    def __init__(self, events: Events) -> None:
        self.events = events
        self._columns: dict[str, Column] = {}

    def column(self, branch: str) -> Column:
        if branch not in self._columns:
            if self.events.type_of(branch) is None:
                raise not_plain(branch)
            self._columns |= self.events.plain([branch])
            require_signed(branch, self._columns[branch].content)
        return self._columns[branch]

    def number(self, branch: str, at: int) -> Any:
        value = self.column(branch).content[at]
        match value.dtype.kind:
            case "f":
                return np.float64(value)
            case "b":
                return bool(value)
        return value.astype(np.int64)

    def field(self, shape: Shape, name: str, at: int) -> Any:
        """Return a number of one of all objects."""
        branch = shape.fields[name]
        if shape.is_jagged and branch not in self._columns:
            first, offsets = self._lists(shape)
            require_equal_lists(first, offsets, branch, self.column(branch).offsets)
        return self.number(branch, at)

    def span(self, shape: Shape, at: int) -> tuple[int, int]:
        _, offsets = self._lists(shape)
        return int(offsets[at]), int(offsets[at + 1])

    def _lists(self, shape: Shape) -> tuple[str, Offsets]:
        """Return a branch that says how many objects events have, and its offsets."""
        for branch in shape.fields.values():
            kind = self.events.type_of(branch)
            if kind is not None and kind.is_jagged:
                offsets = self.column(branch).offsets
                assert offsets is not None
                return branch, offsets
        raise TypeError(f"{shape.name} has no plain branch")


class Event:
    """One event."""

    def __init__(self, reader: Reader, at: int) -> None:
        self._reader = reader
        self._at = at
        self._known: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name not in self._known:
            self._known[name] = self._look_up(name)
        return self._known[name]

    __getitem__ = __getattr__

    def _look_up(self, name: str) -> Any:
        reader, at = self._reader, self._at
        shape = reader.events.objects.collections.get(name)
        if shape is not None and shape.is_jagged:
            begin, end = reader.span(shape, at)
            return Collection(Object(reader, shape, i) for i in range(begin, end))
        if shape is not None:
            return Object(reader, shape, at)
        reader.events.type_of(name)  # says so if there is no such branch
        offsets = reader.column(name).offsets
        if offsets is None:
            return reader.number(name, at)
        return [reader.number(name, i) for i in range(offsets[at], offsets[at + 1])]


class Collection(tuple["Object", ...]):
    """The objects of one kind."""

    __slots__ = ()

    def pairs(self) -> Iterator[tuple[Object, ...]]:
        return itertools.combinations(self, 2)

    def combinations(self, size: int) -> Iterator[tuple[Object, ...]]:
        return itertools.combinations(self, int(size))


class Momentum:
    """Four-momenta: what follows from the components, and sums."""

    def __getattr__(self, name: str) -> Any:
        if name in ROOTS:
            function, needs = ROOTS[name]
            return _root(FORMULAS[function](*_of(self, needs)))
        if name in OF_ONE:
            function, needs = OF_ONE[name]
            return np.float64(FORMULAS[function](*_of(self, needs)))
        raise AttributeError(f"{self!r} has no {name!r}")

    def __add__(self, other: Momentum) -> Vector:
        pairs = zip(_of(self, COMPONENTS), _of(other, COMPONENTS), strict=True)
        return Vector(*(a + b for a, b in pairs))

    def __sub__(self, other: Momentum) -> Vector:
        pairs = zip(_of(self, COMPONENTS), _of(other, COMPONENTS), strict=True)
        return Vector(*(a - b for a, b in pairs))

    def __mul__(self, factor: Any) -> Vector:
        return Vector(*(c * factor for c in _of(self, COMPONENTS)))

    __rmul__ = __mul__

    def delta_r(self, other: Momentum) -> Any:
        return self._with("delta_r", other)

    def delta_phi(self, other: Momentum) -> Any:
        return self._with("delta_phi", other)

    def transverse_mass(self, other: Momentum) -> Any:
        return self._with("transverse_mass", other)

    def _with(self, name: str, other: Momentum) -> Any:
        function, needs = METHODS[name]
        result = FORMULAS[function](*_of(self, needs), *_of(other, needs))
        return _root(result) if function.endswith("_squared") else np.float64(result)


class Vector(Momentum):
    """A sum of objects."""

    __array_ufunc__ = None

    def __init__(self, px: Any, py: Any, pz: Any, energy: Any) -> None:
        self.px, self.py, self.pz, self.energy = px, py, pz, energy

    def __repr__(self) -> str:
        return f"Vector({self.px}, {self.py}, {self.pz}, {self.energy})"


class Object(Momentum):
    """One object."""

    # numpy's numbers would take it for an array when they are multiplied by it.
    __array_ufunc__ = None

    def __init__(self, reader: Reader, shape: Shape, at: int) -> None:
        self._reader = reader
        self._shape = shape
        self._index = at

    def __repr__(self) -> str:
        fields = ", ".join(f for f in self._shape.fields)
        return f"{self._shape.name}({fields})"

    def __dir__(self) -> Sequence[str]:
        return [*super().__dir__(), *self._shape.fields, *COMPONENTS]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name in self._shape.fields:
            return self._reader.field(self._shape, name, self._index)
        if name in COMPONENTS:
            return self._component(name)
        return super().__getattr__(name)

    def _component(self, name: str) -> Any:
        stored = self._shape.coordinates
        if stored is None:
            if name not in ("px", "py"):
                raise AttributeError(f"{self._shape.name} has no four-momentum")
            kind, sources = "pt eta phi mass", ["pt", 0.0, "phi", 0.0]
        else:
            kind, sources = stored.kind, [source for _, source in stored]
        numbers: list[Any] = [
            getattr(self, s) if isinstance(s, str) else s for s in sources
        ]
        made = FORMULAS[CONVERSIONS[kind]](*(np.float64(n) for n in numbers))
        return np.float64(made[COMPONENTS.index(name)])


class Filled:
    """A histogram that takes integers of 64 bits, as compiled code does.

    boost-histogram raises for those that do not fit into 32, and takes the largest of
    those that do for ones below an axis. Everything else of it is as it is.
    """

    def __init__(self, name: str, histogram: Any) -> None:
        self._histogram = histogram
        self._axes = layout_of(name, histogram).axes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._histogram, name)

    def fill(self, *values: Any, weight: Any = None, **named: Any) -> None:
        for axis in self._axes:
            if axis.name in named:
                named[axis.name] = _narrow(axis, named[axis.name])
        values = tuple(map(_narrow, self._axes, values))
        self._histogram.fill(*values, weight=weight, **named)


def _narrow(axis: Axis, value: Any) -> Any:
    """Return an integer of 32 bits in the same bin; what is no integer as it is."""
    if not isinstance(value, np.int64):
        return value
    match axis.kind:
        case "integer":
            low = int(axis.numbers[0])
            return min(max(value, low - 1), low + axis.bins)
        case "int category":
            assert axis.values is not None
            unknown = (n for n in range(axis.bins + 1) if n not in axis.values)
            return value if value in axis.values else next(unknown)
        case "bool":
            return bool(value)
    return value


def _root(squared: Any) -> np.float64:
    return np.float64(FORMULAS["root"](squared))


def _of(one: Any, names: tuple[str, ...]) -> list[np.float64]:
    return [np.float64(getattr(one, name)) for name in names]
