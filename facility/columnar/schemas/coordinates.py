"""Which fields of an object are its four-momentum, whatever they are spelled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "pt eta phi mass", "pt eta phi energy", "px py pz mass", "px py pz energy"
]

SPELLINGS: dict[str, tuple[str, ...]] = {
    "pt": ("pt",),
    "eta": ("eta",),
    "phi": ("phi",),
    "px": ("px",),
    "py": ("py",),
    "pz": ("pz",),
    "mass": ("mass", "m"),
    "energy": ("energy", "e", "pe"),
}
"""How fields are called, in lower case; in files ``PX``, ``Px`` and ``px`` occur.

``PE`` and ``M`` are those of LHCb's tuple tools, ``m`` and ``e`` of ATLAS's xAOD.
"""

_KINDS: tuple[Kind, ...] = (
    "px py pz energy",
    "pt eta phi mass",
    "pt eta phi energy",
    "px py pz mass",
)
"""What is preferred, where a file has several."""


@dataclass(frozen=True, slots=True)
class Coordinates:
    """The four-momentum of an object, in the units of the file."""

    kind: Kind
    """The four components, in order."""
    fields: tuple[str, str, str, str | float]
    """The field that holds each; a number is the mass of all, where none is stored."""

    def __iter__(self) -> Iterator[tuple[str, str | float]]:
        """Yield each component and the field that holds it."""
        return iter(zip(self.kind.split(), self.fields, strict=True))


def coordinates_of(
    fields: Iterable[str], mass: float | None = None
) -> Coordinates | None:
    """Return the four-momentum among fields, or none if they do not make one.

    Args:
        fields: names of an object's fields.
        mass: of the object, for files that store three components only.
    """
    spelled = canonical(fields)
    for kind in _KINDS:
        *momentum, last = kind.split()
        if not all(name in spelled for name in momentum):
            continue
        fourth = spelled.get(last, mass if last == "mass" else None)
        if fourth is not None:
            first, second, third = (spelled[name] for name in momentum)
            return Coordinates(kind, (first, second, third, fourth))
    return None


def canonical(fields: Iterable[str]) -> dict[str, str]:
    """Return the field that holds each component, by the component's own name.

    The exact name wins over another case, and ``mass`` over ``m``.
    """
    by_lower: dict[str, str] = {}
    for field in sorted(fields, reverse=True):  # lower case sorts last and is first
        by_lower.setdefault(field.lower(), field)
    return {
        name: by_lower[spelled[0]]
        for name, spellings in SPELLINGS.items()
        if (spelled := [s for s in spellings if s in by_lower])
    }
