"""What lowering yields: the body as a function over flat arrays, for any back end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from facility.columnar.columns import ColumnType
from facility.columnar.fused.axes import Layout
from facility.columnar.schemas import Shape


@dataclass(frozen=True, slots=True)
class Input:
    """A column that the generated function takes."""

    parameter: str
    branch: str
    type: ColumnType


@dataclass(frozen=True, slots=True)
class List:
    """A collection's parts: where each event's objects begin in its columns."""

    name: str
    branches: tuple[str, ...]
    """Jagged columns that were read for it: all have these offsets. If there is none,
    ``counts`` says how many objects each event has."""
    counts: str | None

    @property
    def offsets(self) -> str:
        """The parameter: ``events + 1`` positions, int64."""
        return f"{self.name}__offsets"


@dataclass(frozen=True, slots=True)
class Momenta:
    """Cartesian components that are computed once per object, before the body.

    Component ``c`` of object ``j`` is at ``parameter[stride * (j - base) + c]``, where
    ``stride`` is their number: a back end computes them for a block of events (all
    objects from ``base`` on) or for all (``base`` 0).
    """

    name: str
    """Of the collection or the single object."""
    is_jagged: bool
    function: str
    """Of :mod:`facility.columnar.fused.fourvectors`: gives px, py, pz, energy."""
    arguments: tuple[str, ...]
    """Code of its arguments, for the object ``j``."""
    components: tuple[str, ...]
    """Those that are used, in the order in which they are stored."""

    @property
    def parameter(self) -> str:
        return f"{self.name}__momenta"

    @property
    def base(self) -> str:
        return f"{self.name}__base"


@dataclass(frozen=True, slots=True)
class Tally:
    """A whole number of each object, added up from the first one of a block of events.

    The sum of those before object ``j`` is at ``parameter[j - base]``.
    """

    name: str
    """Of the list."""
    parameter: str
    lines: tuple[str, ...]
    """Assignments that ``added`` needs."""
    added: str
    """Code of the number of object ``j``."""

    @property
    def base(self) -> str:
        return f"{self.name}__base"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the body stops with status ``position + 1``."""

    text: str
    """File, line, what is written there, and what was wrong."""


@dataclass(frozen=True)
class Program:
    """A body, lowered for a file's branches.

    ``source`` defines ``body(at, ...) -> int64``, which does one event (or, if the
    program :attr:`is_flat`, one object) and returns 0 or the number of a failure. Its
    parameters after ``at`` are :attr:`parameters`. It calls the functions of
    :mod:`facility.columnar.fused.runtime`, ``math``, ``float64``, ``int64`` and these
    three, which the back end provides (atomic where events are done at once):

    - ``count(histogram, bin)`` adds 1 (int64, one value per bin);
    - ``weigh(histogram, bin, weight)`` adds a weight (float64, one per bin);
    - ``weigh_squares(histogram, bin, weight)`` adds it at ``2 bin``, and its square
      at ``2 bin + 1`` (float64, two per bin).
    """

    name: str
    source: str
    bins: str
    """If there is no loop (but what can be a tally) and at most one entry without
    weight: the source of ``bin_of``, which takes the same, then base and parameter of
    each of the ``tallies``, and returns the bin, or (nothing to fill) the number of all
    bins. Empty otherwise. For back ends that vectorise."""
    tallies: tuple[Tally, ...]
    """What is to be computed before ``bin_of``."""
    is_flat: bool
    """Whether it does the objects of its one list, whichever events they are of."""
    inputs: tuple[Input, ...]
    lists: tuple[List, ...]
    momenta: tuple[Momenta, ...]
    constants: Mapping[str, npt.NDArray[Any]]
    """Edges and categories of axes, by parameter."""
    layouts: Mapping[str, Layout]
    """Of the histograms, by parameter."""
    weighted: frozenset[str]
    """Histograms that are filled with weights."""
    failures: tuple[Failure, ...]
    facts: Mapping[str, ColumnType | Shape | None]
    """What was asked about the file; with equal answers the program is the same."""

    @property
    def filled_once(self) -> str:
        """The histogram of ``bin_of``."""
        (name,) = self.layouts
        return name

    @property
    def branches(self) -> tuple[str, ...]:
        """What is read: inputs, and what only counts objects."""
        counting = (
            item.counts for item in self.lists if item.counts and not item.branches
        )
        return tuple(dict.fromkeys((*(i.branch for i in self.inputs), *counting)))

    @property
    def contents(self) -> tuple[str, ...]:
        """Branches of whose lists the numbers are enough, all in a row.

        Not so if nothing but their offsets tells that several have lists of the same
        lengths.
        """
        counts = {i.type.counts for i in self.inputs}
        is_sure = len(self.inputs) == 1 or (len(counts) == 1 and None not in counts)
        return tuple(i.branch for i in self.inputs if self.is_flat and is_sure)

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of what the function takes after ``at``, in order."""
        return (
            *(item.offsets for item in self.lists if not self.is_flat),
            *(name for m in self.momenta for name in (m.base, m.parameter)),
            *(i.parameter for i in self.inputs),
            *self.constants,
            *self.layouts,
            "nan_weights",
        )

    def storage(self, histogram: str) -> npt.NDArray[Any]:
        """Return zeros to fill: int64 counts, float64 sums, or sums and squares."""
        layout = self.layouts[histogram]
        if histogram not in self.weighted:
            return np.zeros(layout.bins, np.int64)
        return np.zeros(layout.bins * (2 if layout.has_variance else 1))
