"""Short names for the histograms that analyses fill most; ``hist.Hist`` has all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import hist


class Hist:
    """Empty ``hist.Hist`` of one axis, with sums of weights and of their squares.

    ``hist.Hist.new`` makes any other: more axes, categories, other storages.
    """

    @staticmethod
    def regular(
        bins: int, start: float, stop: float, *, name: str = "", label: str = ""
    ) -> Any:
        """Return ``bins`` equal bins from ``start`` to ``stop``, and flow."""
        return _of(hist.axis.Regular(bins, start, stop, name=name, label=label))

    @staticmethod
    def variable(edges: Sequence[float], *, name: str = "", label: str = "") -> Any:
        """Return bins between ascending edges, and flow."""
        return _of(hist.axis.Variable(edges, name=name, label=label))

    @staticmethod
    def integer(start: int, stop: int, *, name: str = "", label: str = "") -> Any:
        """Return a bin for each integer from ``start`` to ``stop - 1``, and flow."""
        return _of(hist.axis.Integer(start, stop, name=name, label=label))


def _of(axis: Any) -> Any:
    return hist.Hist(axis, storage=hist.storage.Weight())
