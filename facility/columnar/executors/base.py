"""The seam between a plan and whatever computes it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from facility.columnar.computing import Partial, Task
from facility.columnar.planning import Chunk


@dataclass(frozen=True, slots=True)
class Computed:
    """Says that a chunk is computed, though the sum with it comes later."""

    index: int


class Executor(Protocol):
    """Computes chunks."""

    @property
    def name(self) -> str:
        """What provenance calls it."""

    def partials(
        self, task: Task, chunks: Sequence[Chunk]
    ) -> Iterator[Partial | Computed]:
        """Yield each chunk exactly once, in any order: alone, or in the sum of a run.

        Runs are those of :func:`facility.columnar.reduction.runs` over all chunks.
        :class:`Computed` is for the bar, may be left out, and may come twice.

        The first failure is raised and ends what was not yet started.
        """
