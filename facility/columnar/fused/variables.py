"""What is known of the body's variables: their types, and where they have values.

A name has one *slot* per function for its numbers, whatever is assigned where: the
widest type. What a slot holds is learnt while the body is lowered, so lowering is
repeated until nothing new is learnt (types only widen, so it ends).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from facility.columnar.fused.values import (
    TYPES,
    Object,
    Scalar,
    Tuple,
    Type,
    Value,
    Vector,
)
from facility.columnar.schemas import Shape

State = Literal["unset", "none", "set"]
STATE_CODES: dict[State, int] = {"unset": 0, "none": 1, "set": 2}


@dataclass
class Slot:
    """What one variable was seen to hold."""

    kind: Literal["scalar", "object", "vector", "tuple"] | None = None
    type: Type = "bool"
    shapes: tuple[Shape, ...] = ()
    length: int | None = None
    """Of a tuple: its items have slots of their own."""
    has_other: bool = False
    """Whether something is assigned that is only known when compiling: a text, a
    collection, a tuple of another length."""
    has_none: bool = False
    """Whether None is assigned somewhere."""
    is_checked: bool = False
    """Whether its state is asked for when the body runs."""

    def widen(self, other: Slot) -> None:
        """Take in what was seen besides."""
        self.kind = self.kind or other.kind
        self.type = wider(self.type, other.type)
        known = [s.name for s in self.shapes]
        self.shapes += tuple(s for s in other.shapes if s.name not in known)
        if self.length is None:
            self.length = other.length
        self.has_other |= other.length not in (None, self.length)


def wider(*types: Type) -> Type:
    """Return the type that holds all."""
    return max(types, key=TYPES.index)


def vector_names(name: str) -> tuple[str, str, str, str]:
    """Return the names of a four-momentum's components."""
    return f"{name}__px", f"{name}__py", f"{name}__pz", f"{name}__energy"


def item_names(name: str, length: int) -> list[str]:
    """Return the names of a tuple's items."""
    return [f"{name}__{i}" for i in range(length)]


@dataclass(frozen=True, slots=True)
class Binding:
    """What a name stands for at one place of the body."""

    value: Value | None
    """None while it is not known to have one."""
    states: frozenset[State] = frozenset({"set"})
    """What it may be here."""


Names = dict[str, Binding]


@dataclass
class Known:
    """What was learnt in earlier passes over the body."""

    slots: dict[str, Slot] = field(default_factory=dict)
    """By the name in the generated source."""
    components: dict[str, dict[str, None]] = field(default_factory=dict)
    """Of four-momenta that are computed beforehand, by collection."""
    weighted: dict[str, None] = field(default_factory=dict)
    """Histograms that are filled with weights."""
    targets: dict[str, dict[float, None]] = field(default_factory=dict)
    """From what distances are compared with a variable: see :mod:`.nearest`."""

    def slot(self, name: str) -> Slot:
        return self.slots.setdefault(name, Slot())

    def value(self, name: str) -> Value | None:
        """Return what a variable holds anywhere, if that is known and can differ."""
        slot = self.slot(name)
        if slot.has_other:
            return None
        match slot.kind:
            case "scalar":
                return Scalar(name, slot.type)
            case "object":
                tag = f"{name}__kind" if len(slot.shapes) > 1 else ""
                return Object(slot.shapes, name, tag)
            case "vector":
                return Vector(*vector_names(name))
            case "tuple":
                names = item_names(name, slot.length or 0)
                items = [item for n in names if (item := self.value(n)) is not None]
                return Tuple(tuple(items)) if len(items) == len(names) else None
        return None

    def digest(self) -> str:
        """Return equal texts if nothing was learnt in between."""
        slots = [
            (
                *(n, s.kind, s.type, [h.name for h in s.shapes], s.length),
                *(s.has_other, s.has_none, s.is_checked),
            )
            for n, s in sorted(self.slots.items())
        ]
        components = sorted((k, *v) for k, v in self.components.items())
        targets = sorted((k, *v) for k, v in self.targets.items())
        return repr((slots, components, sorted(self.weighted), targets))
