"""The eight queries as a table: what each is called, writes, and is computed with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from facility.columnar.adl import arrays
from facility.columnar.computing import Analysis
from facility.columnar.planning import CHUNK_EVENTS
from facility.errors import UsageError


class Style(StrEnum):
    """How a query is written."""

    KERNEL = "kernel"
    """A loop over one event, compiled."""
    ARRAY = "array"
    """Array at a time, with awkward."""


@dataclass(frozen=True, slots=True)
class Query:
    """One query and its histograms."""

    number: int
    array: Analysis
    outputs: tuple[str, ...] = ()
    """Names in the result if there are several histograms, in the order a, b ..."""
    array_events: int = CHUNK_EVENTS
    """Events that arrays are made of at once: bounds memory, and keeps to caches."""

    @property
    def what(self) -> str:
        """The question, in words."""
        line = (self.array.__doc__ or "").partition("\n")[0]
        return line.partition(": ")[2].rstrip(".")

    def analysis(self, style: Style) -> Analysis:
        """Return what ``Dataset.run`` takes."""
        match style:
            case Style.KERNEL:
                # Late: arrays do without the machinery of kernels.
                from facility.columnar.adl import kernels

                found: Analysis = getattr(kernels, self.array.__name__)
                return found
            case Style.ARRAY:
                return self.array

    def chunk_events(self, style: Style) -> int | None:
        """Return about how many events are computed at once; none: as usual."""
        return self.array_events if style is Style.ARRAY else None

    def histograms(self, value: Any) -> Mapping[str, Any]:
        """Return the histograms of a result under their names: ``q6a``, ``q6b``."""
        if not self.outputs:
            return {f"q{self.number}": value}
        return {
            f"q{self.number}{letter}": value[output]
            for letter, output in zip("ab", self.outputs, strict=True)
        }


QUERIES = (
    Query(1, arrays.missing_momentum),
    Query(2, arrays.jet_momenta),
    Query(3, arrays.central_jets),
    Query(4, arrays.two_hard_jets),
    Query(5, arrays.dimuons),
    Query(6, arrays.trijet, ("pt", "btag"), array_events=50_000),
    Query(7, arrays.clean_jets),
    Query(8, arrays.lepton_and_met),
)


def choose(numbers: str | None) -> tuple[Query, ...]:
    """Return the queries of ``1,6``, in that order without repetition; all for none.

    Raises:
        UsageError: there is no such query.
    """
    if numbers is None:
        return QUERIES
    known = {str(query.number): query for query in QUERIES}
    wanted = [word.strip().lower().removeprefix("q") for word in numbers.split(",")]
    for word in wanted:
        if word not in known:
            raise UsageError(
                f"--queries {numbers}: no query {word!r}; expected numbers from 1 to "
                f"{len(QUERIES)} as in 1,6"
            )
    return tuple(known[word] for word in dict.fromkeys(wanted))
