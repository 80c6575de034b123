"""What an expression of a kernel's body can be, as the compiler sees it.

A value holds *code*: an expression of the generated source, free of side effects,
which is valid from where it was made to the end of its block.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from facility.columnar.schemas import Shape

Type = Literal["bool", "int", "float"]
"""Of a scalar: truth value, 64-bit integer, 64-bit floating-point number."""

TYPES: tuple[Type, ...] = ("bool", "int", "float")
"""Each holds what those before it hold."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A square root less a constant, or the constant less the root."""

    squared: str
    """Code of what the root is taken of."""
    target: float
    is_absolute: bool = False
    """Whether it is without its sign."""


@dataclass(frozen=True, slots=True)
class Scalar:
    """One number or truth value."""

    code: str
    type: Type
    squared: str | None = None
    """If the number is the square root of something: that."""
    difference: Difference | None = None
    """If the number is how far a square root is from a constant: of what."""


@dataclass(frozen=True, slots=True)
class Truth:
    """Whether ``a and b``, ``a or b`` is true: which of them it is, is not known."""

    code: str


@dataclass(frozen=True, slots=True)
class Static:
    """A Python value that is known when compiling: numbers, texts, modules, None."""

    value: Any


@dataclass(frozen=True, slots=True)
class Event:
    """The event."""


@dataclass(frozen=True, slots=True)
class Collection:
    """All objects of a kind in the event: ``event.Muon``."""

    shape: Shape


@dataclass(frozen=True, slots=True)
class Numbers:
    """A branch with a list of numbers for each event, which is no object's field."""

    branch: str


@dataclass(frozen=True, slots=True)
class Object:
    """One object; ``index`` is that of its fields' values in the whole columns.

    With several shapes ``tag`` says which of them it has, from 0.
    """

    shapes: tuple[Shape, ...]
    index: str
    tag: str = ""


@dataclass(frozen=True, slots=True)
class Vector:
    """A four-momentum: a sum of objects."""

    px: str
    py: str
    pz: str
    energy: str


@dataclass(frozen=True, slots=True)
class Histogram:
    """A parameter that is filled."""

    name: str


@dataclass(frozen=True, slots=True)
class Tuple:
    """Several values."""

    items: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """``range``: whole numbers."""

    start: str
    stop: str
    step: int


@dataclass(frozen=True, slots=True)
class Combinations:
    """All ways to take ``size`` objects of a collection, in order."""

    of: Collection
    size: int


@dataclass(frozen=True, slots=True)
class Enumerate:
    """``enumerate``: the number of the turn beside the item."""

    of: Value
    start: str


@dataclass(frozen=True, slots=True)
class Chain:
    """``itertools.chain``: one after the other; the loop's body is unrolled."""

    parts: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Method:
    """A method that is to be called."""

    owner: Value
    name: str


Value = (
    Scalar
    | Truth
    | Static
    | Event
    | Collection
    | Numbers
    | Object
    | Vector
    | Histogram
    | Tuple
    | Range
    | Combinations
    | Enumerate
    | Chain
    | Method
)


def described(value: Value) -> str:
    """Return words for a person."""
    match value:
        case Scalar():
            return {"bool": "a truth value", "int": "an integer", "float": "a number"}[
                value.type
            ]
        case Truth():
            return "one of several that are not all truth values"
        case Static():
            return repr(value.value)
        case Collection():
            return f"the collection {value.shape.name}"
        case Object():
            return f"one {' or '.join(s.name for s in value.shapes)}"
        case Numbers():
            return f"the list {value.branch}"
        case Histogram():
            return f"the histogram {value.name}"
        case Method():
            return f"the method {value.name}"
        case _:
            return f"a {type(value).__name__.lower()}"
