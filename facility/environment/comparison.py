"""The difference of two environments, as a person reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from facility.environment.model import IGNORED, Distribution, Environment

SHOWN = 5
"""Items in one line before "and N more"."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What is not the same in two environments, mine and theirs.

    Distributions in ``IGNORED`` take no part.
    """

    python: tuple[str, str] | None
    """Implementation and version, mine and theirs, if they differ."""
    machine: tuple[str, str] | None
    libc: tuple[str, str] | None
    changed: Mapping[str, tuple[Distribution, Distribution]]
    """In both, with another version, origin or contents."""
    removed: Mapping[str, Distribution]
    """Mine only."""
    added: Mapping[str, Distribution]
    """Theirs only."""

    @property
    def is_empty(self) -> bool:
        """True if the same code runs the same way in both."""
        return not any(
            (
                self.python,
                self.machine,
                self.libc,
                self.changed,
                self.removed,
                self.added,
            )
        )

    def lines(self, mine: str = "here", theirs: str = "there") -> list[str]:
        """Return one line per difference: ``numpy 2.4.6 here, 2.3.0 there``."""
        pairs: list[tuple[str, str, str]] = [
            (what, *pair)
            for what, pair in (
                ("python", self.python),
                ("machine", self.machine),
                ("libc", self.libc),
            )
            if pair is not None
        ]
        pairs += [(n, str(a), str(b)) for n, (a, b) in self.changed.items()]
        pairs += [(n, str(d), "missing") for n, d in self.removed.items()]
        pairs += [(n, "missing", str(d)) for n, d in self.added.items()]
        return [f"{what} {a} {mine}, {b} {theirs}" for what, a, b in pairs]

    def describe(
        self, mine: str = "here", theirs: str = "there", *, shown: int = SHOWN
    ) -> str:
        """Return it in one line, shortened after ``shown`` items."""
        lines = self.lines(mine, theirs)
        if not lines:
            return "no difference"
        more = [f"and {len(lines) - shown} more"] if len(lines) > shown else []
        return "; ".join(lines[:shown] + more)

    def __str__(self) -> str:
        return self.describe()


def difference(mine: Environment, theirs: Environment) -> Difference:
    """Compare two environments; empty exactly if their digests are equal."""
    a, b = _compared(mine), _compared(theirs)
    return Difference(
        python=_pair(
            f"{mine.implementation} {mine.python}",
            f"{theirs.implementation} {theirs.python}",
        ),
        machine=_pair(mine.machine, theirs.machine),
        libc=_pair(str(mine.libc), str(theirs.libc)),
        changed={n: (d, b[n]) for n, d in a.items() if n in b and d != b[n]},
        removed={n: d for n, d in a.items() if n not in b},
        added={n: d for n, d in b.items() if n not in a},
    )


def _compared(environment: Environment) -> dict[str, Distribution]:
    found = environment.distributions
    return {name: found[name] for name in sorted(found) if name not in IGNORED}


def _pair(mine: str, theirs: str) -> tuple[str, str] | None:
    return None if mine == theirs else (mine, theirs)
