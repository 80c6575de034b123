"""Memory that is used again for every chunk, so that no chunk pays for new pages."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


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
