"""Does a demand fit below a ceiling, and how much of it would. Decides, does no I/O."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from facility.spec import Ceiling
from facility.spec.units import format_bytes

_FIELDS = ("clusters", "workers", "cores", "memory")


@dataclass(frozen=True, slots=True)
class Amount:
    """What is asked for, or in use. ``memory`` is in bytes."""

    clusters: int = 0
    workers: int = 0
    cores: float = 0
    memory: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(
            self.clusters + other.clusters,
            self.workers + other.workers,
            self.cores + other.cores,
            self.memory + other.memory,
        )

    def times(self, count: int) -> Amount:
        """The amount of ``count`` equal ones."""
        return Amount(
            self.clusters * count,
            self.workers * count,
            self.cores * count,
            self.memory * count,
        )


@dataclass(frozen=True, slots=True)
class Bound:
    """A ceiling, and what is already in use below it."""

    subject: str
    """Who it binds, in words: ``user alice``."""
    ceiling: Ceiling
    used: Amount


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a demand does not fit: the number that binds, and what would fit."""

    subject: str
    quantity: str
    used: float
    asked: float
    ceiling: float
    fits: int
    """How many of the asked units would fit now."""

    def __str__(self) -> str:
        def number(value: float) -> str:
            return format_bytes(value) if self.quantity == "memory" else f"{value:g}"

        return (
            f"{self.subject} may use {number(self.ceiling)} {self.quantity}, has "
            f"{number(self.used)} and asked for {number(self.asked)} more; "
            f"{self.fits} would fit now"
        )


def fitting(unit: Amount, count: int, bounds: Iterable[Bound]) -> int:
    """Return how many of ``count`` equal units fit below every bound."""
    fits = count
    for bound in bounds:
        for field in _FIELDS:
            limit = getattr(bound.ceiling, field)
            each = getattr(unit, field)
            if limit is None or each == 0:
                continue
            room = limit - getattr(bound.used, field)
            fits = min(fits, max(0, int(room // each)))
    return fits


def refusal(unit: Amount, count: int, bounds: Iterable[Bound]) -> Refusal | None:
    """Return why ``count`` units do not fit, naming the tightest bound; else None."""
    tightest: Refusal | None = None
    for bound in bounds:
        for field in _FIELDS:
            limit = getattr(bound.ceiling, field)
            each = getattr(unit, field)
            if limit is None or each == 0:
                continue
            only = replace(bound, ceiling=Ceiling(**{field: limit}))
            fits = fitting(unit, count, [only])
            if fits < count and (tightest is None or fits < tightest.fits):
                tightest = Refusal(
                    subject=bound.subject,
                    quantity=field,
                    used=getattr(bound.used, field),
                    asked=each * count,
                    ceiling=limit,
                    fits=fits,
                )
    return tightest
