"""Memory on both sides of the bus, allocated once and used for every chunk.

Allocation makes the host wait for the GPU, and copies from pageable memory do too: what
is read into :class:`PinnedBuffers` is copied while the host goes on.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import numpy.typing as npt

from facility.columnar.buffers import Buffers
from facility.columnar.fused.cuda.driver import cuda


class PinnedBuffers(Buffers):
    """Buffers for columns that are to go to the GPU."""

    def allocate(self, nbytes: int) -> npt.NDArray[np.uint8]:
        memory: npt.NDArray[np.uint8] = cuda.pinned_array(nbytes, np.uint8)
        return memory


class Workspace:
    """What one thread needs to use the GPU: a stream, memory here, memory there."""

    def __init__(self) -> None:
        self.stream = cuda.stream()
        self.columns = PinnedBuffers()
        """For the reader."""
        self._results = PinnedBuffers()
        self._device: dict[str, Any] = {}

    def take(self, name: str, dtype: npt.DTypeLike, size: int) -> Any:
        """Return ``size`` numbers on the GPU, of any value, valid until taken again."""
        dtype = np.dtype(dtype)
        memory = self._device.get(name)
        if memory is None or memory.dtype != dtype or memory.size < size:
            # At least one: an allocation of nothing is an error.
            memory = cuda.device_array(size + size // 4 + 1, dtype)
            self._device[name] = memory
        return memory[:size]

    def send(self, name: str, values: npt.NDArray[Any]) -> Any:
        """Return a copy on the GPU; on its way if ``values`` are pinned."""
        memory = self.take(name, values.dtype, len(values))
        if len(values):
            memory.copy_to_device(values, stream=self.stream)
        return memory

    def start(self, name: str, values: npt.NDArray[Any]) -> Any:
        """Return a copy on the GPU of a few values that may change at once here."""
        pinned = self._results.take(f"start of {name}", values.dtype, len(values))
        pinned[:] = values
        return self.send(name, pinned)

    def fetch(self, **arrays: Any) -> dict[str, npt.NDArray[Any]]:
        """Return what arrays on the GPU hold after all that was asked of it: one wait.

        Valid until the next call.
        """
        fetched = {}
        for name, array in arrays.items():
            pinned = self._results.take(f"end of {name}", array.dtype, array.size)
            if array.size:
                array.copy_to_host(pinned, stream=self.stream)
            fetched[name] = pinned
        self.stream.synchronize()
        return fetched


class _PerThread(threading.local):
    workspace: Workspace | None = None


_per_thread = _PerThread()


def workspace() -> Workspace:
    """Return this thread's workspace."""
    if _per_thread.workspace is None:
        _per_thread.workspace = Workspace()
    return _per_thread.workspace


def pinned_buffers() -> Buffers:
    """Return what this thread's columns are best read into."""
    return workspace().columns
