"""The seam between a plan and whatever computes it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from facility.columnar.computing import Analysis, Partial
from facility.columnar.planning import Chunk


class Executor(Protocol):
    """Computes chunks."""

    @property
    def name(self) -> str:
        """What provenance calls it."""

    def partials(
        self, analysis: Analysis, chunks: Sequence[Chunk]
    ) -> Iterator[Partial]:
        """Yield the result of each chunk exactly once, in any order.

        The first failure is raised and ends what was not yet started.
        """
