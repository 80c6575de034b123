"""Sums of partial results: each chunk once, and always the same bits.

Floating-point sums depend on their order. The law here: chunks are cut into runs of
``RUN`` consecutive ones; a run is added from its first chunk to its last, and the runs
are added from the first to the last. Whoever adds a run, a worker near its chunks or
the process that asked, whatever finished first and whatever was computed twice, the
sum is that of the serial executor.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from facility.columnar.errors import AnalysisError, one_line

RUN = 16
"""Chunks whose sum travels as one: 400 chunks are 25 results to receive.

Saved results are run again with it: another number is another ``FORMAT`` of
:mod:`facility.columnar.record`.
"""


def add(left: Any, right: Any) -> Any:
    """Return the sum; dicts are added by key, tuples and lists by position.

    ``None`` is the sum of nothing: adding it changes nothing.

    Raises:
        AnalysisError: the two cannot be added.
    """
    if left is None or right is None:
        return right if left is None else left
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


def added(values: Iterable[Any]) -> Any:
    """Return the sum of values, from the first to the last; ``None`` for none."""
    total = None
    for value in values:
        total = add(total, value)
    return total


def runs(chunks: int) -> Iterator[range]:
    """Yield the indices of each run of ``chunks`` chunks, in order."""
    for start in range(0, chunks, RUN):
        yield range(start, min(start + RUN, chunks))


class OrderedSum:
    """Takes chunks and whole runs in any order, adds them as the law says."""

    def __init__(self, chunks: int) -> None:
        self._chunks = chunks
        self._runs: defaultdict[int, _Fold] = defaultdict(_Fold)
        self._total = _Fold()

    def put(self, indices: Sequence[int], value: Any) -> None:
        """Take the sum of some chunks: of one, or of a run.

        Raises:
            ValueError: one was counted already, or they are neither.
        """
        run, first = divmod(indices[0], RUN)
        if run in self._total:
            raise ValueError(f"chunk {indices[0]} was counted already")
        whole = list(self._members(run))
        if len(indices) == 1:
            self._runs[run].put(first, value)
            if self._runs[run].count < len(whole):
                return
            value = self._runs[run].value
        elif list(indices) != whole or run in self._runs:
            raise ValueError(f"chunks {list(indices)} are no run that is missing")
        self._runs.pop(run, None)
        self._total.put(run, value)

    def total(self) -> Any:
        """Return the sum of all chunks: all must have been given."""
        counted = sum(len(self._members(run)) for run in range(self._total.count))
        if counted != self._chunks:
            raise ValueError(f"{counted} of {self._chunks} chunks were counted")
        return self._total.value

    def _members(self, run: int) -> range:
        return range(run * RUN, min((run + 1) * RUN, self._chunks))


class _Fold:
    """Values in any order, added in the order of their index, each index once."""

    def __init__(self) -> None:
        self._waiting: dict[int, Any] = {}
        self.count = 0
        """How many from the first on were added."""
        self.value: Any = None

    def __contains__(self, index: int) -> bool:
        return index < self.count or index in self._waiting

    def put(self, index: int, value: Any) -> None:
        if index in self:
            raise ValueError(f"chunk {index} was counted already")
        self._waiting[index] = value
        while self.count in self._waiting:
            self.value = add(self.value, self._waiting.pop(self.count))
            self.count += 1
