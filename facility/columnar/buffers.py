"""Memory that is used again for every chunk, so that no chunk pays for new pages."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

KEPT_BYTES = 512 * 1024 * 1024
"""Of memory that nobody uses, in one process."""


class Buffers:
    """Named arrays for one reader at a time; each grows to the largest size asked for.

    What :meth:`take` returned under a name is overwritten after the next ``take`` of
    that name: columns that were read into buffers are valid until the next read with
    the same buffers. Not for two threads at once: each has its own.
    """

    def __init__(self) -> None:
        self._memory: dict[str, npt.NDArray[np.uint8]] = {}

    def take(self, name: str, dtype: npt.DTypeLike, size: int) -> npt.NDArray[Any]:
        """Return ``size`` numbers of any value, contiguous, aligned as numpy aligns."""
        wanted = np.dtype(dtype).itemsize * size
        memory = self._memory.get(name)
        if memory is None or memory.nbytes < wanted:
            # Chunks differ by a few per cent: a quarter more is rarely outgrown.
            memory = self.allocate(wanted + wanted // 4)
            self._memory[name] = memory
        return memory[:wanted].view(dtype)

    def room(self, name: str, dtype: npt.DTypeLike) -> int:
        """Return how many numbers fit under a name into what is there."""
        memory = self._memory.get(name)
        return 0 if memory is None else memory.nbytes // np.dtype(dtype).itemsize

    def allocate(self, nbytes: int) -> npt.NDArray[np.uint8]:
        """Return new memory; others may have it from elsewhere than the system."""
        return np.empty(nbytes, np.uint8)

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return sum(m.nbytes for m in self._memory.values())


class Unshared(Buffers):
    """New memory at each ``take``, for columns that are kept; nothing is held."""

    def take(self, name: str, dtype: npt.DTypeLike, size: int) -> npt.NDArray[Any]:  # noqa: ARG002
        return np.empty(size, dtype)


_B = TypeVar("_B", bound=Buffers)


class Pool(Generic[_B]):
    """Buffers that threads borrow: a run's new threads get the memory of the last run.

    Those that came back last are lent first. What is not lent is bounded: what would
    be more is given back to the system.

    Args:
        made: makes buffers when none are free.
        kept_bytes: the bound.
    """

    def __init__(self, made: Callable[[], _B], kept_bytes: int = KEPT_BYTES) -> None:
        self._made = made
        self._kept_bytes = kept_bytes
        self._free: list[_B] = []
        self._lock = threading.Lock()

    @contextmanager
    def lent(self) -> Iterator[_B]:
        """Lend buffers that nobody else has until the block ends."""
        with self._lock:
            buffers = self._free.pop() if self._free else self._made()
        try:
            yield buffers
        finally:
            with self._lock:
                self._free.append(buffers)
                while self.nbytes > self._kept_bytes:
                    self._free.pop(0)

    @property
    def nbytes(self) -> int:
        """Bytes that are kept and not lent."""
        return sum(buffers.nbytes for buffers in self._free)


POOL = Pool(Buffers)
"""This process's."""
