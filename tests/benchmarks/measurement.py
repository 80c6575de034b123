"""What was measured on both sides, and whether it passes its bar."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class Bar:
    """A ratio or a value that the median must keep."""

    limit: float
    at_least: bool = False
    of_ratio: bool = True

    def is_kept_by(self, value: float) -> bool:
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self) -> str:
        sign = "≥" if self.at_least else "≤"
        return f"{sign} {self.limit:g}{' x' if self.of_ratio else ''}"


NOT_JUDGED = Bar(0.0, at_least=True)
"""For what is printed beside."""


@dataclass(slots=True)
class Measurement:
    """One row: repetitions of ours and of the other side, in the same unit."""

    name: str
    unit: str
    bar: Bar
    other: str = "bare"
    ours_values: list[float] = field(default_factory=list)
    other_values: list[float] = field(default_factory=list)

    def add(self, is_ours: bool, value: float) -> None:
        """Note one repetition."""
        (self.ours_values if is_ours else self.other_values).append(value)

    @property
    def ours(self) -> float:
        """Median of our side."""
        return median(self.ours_values)

    @property
    def theirs(self) -> float | None:
        """Median of the other side; none where there is none."""
        return median(self.other_values) if self.other_values else None

    @property
    def ratio(self) -> float | None:
        """Ours over the other side; none where there is no other side."""
        return None if self.theirs is None else self.ours / self.theirs

    @property
    def passes(self) -> bool:
        value = self.ratio if self.bar.of_ratio else self.ours
        return value is not None and self.bar.is_kept_by(value)

    def to_json(self) -> dict[str, Any]:
        document = asdict(self)
        document["bar"] = str(self.bar)
        return document | {
            "ours": self.ours,
            "theirs": self.theirs,
            "ratio": self.ratio,
            "passes": self.passes,
        }
