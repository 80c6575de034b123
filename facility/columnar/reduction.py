"""Sums of partial results, in chunk order and each chunk once.

Floating-point sums depend on their order; with this one the result is the same bits
whatever finished first and whatever was computed twice.
"""

from __future__ import annotations

from typing import Any

from facility.columnar.errors import AnalysisError, one_line


def add(left: Any, right: Any) -> Any:
    """Return the sum; dicts are added by key, tuples and lists by position.

    Raises:
        AnalysisError: the two cannot be added.
    """
    if isinstance(left, dict) and isinstance(right, dict):
        return {
            key: (
                add(left[key], right[key])
                if key in left and key in right
                else left.get(key, right.get(key))
            )
            for key in (*left, *(k for k in right if k not in left))
        }
    if isinstance(left, tuple | list) and isinstance(right, tuple | list):
        if len(left) != len(right):
            raise AnalysisError(
                f"two chunks gave {len(left)} and {len(right)} results, expected the "
                "same number from every chunk"
            )
        summed = [add(a, b) for a, b in zip(left, right, strict=True)]
        return tuple(summed) if isinstance(left, tuple) else summed
    try:
        return left + right
    except (TypeError, ValueError) as error:
        raise AnalysisError(
            f"results of two chunks cannot be added: {one_line(error)}"
        ) from error


class OrderedSum:
    """Takes results in any order, adds them in the order of their index."""

    def __init__(self) -> None:
        self._waiting: dict[int, Any] = {}
        self._next = 0
        self._total: Any = None

    def put(self, index: int, value: Any) -> None:
        """Add the result of a chunk; it is an error to give a chunk twice."""
        if index < self._next or index in self._waiting:
            raise ValueError(f"chunk {index} was counted already")
        self._waiting[index] = value
        while self._next in self._waiting:
            ready = self._waiting.pop(self._next)
            self._total = ready if self._next == 0 else add(self._total, ready)
            self._next += 1

    def total(self, chunks: int) -> Any:
        """Return the sum of chunks 0 to ``chunks - 1``: all must have been given."""
        if self._next != chunks or self._waiting:
            raise ValueError(f"{self._next} of {chunks} chunks were counted")
        return self._total
