"""One chunk on the GPU: columns over, kernels, bins back; the host waits once."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from facility.columnar.fused.cuda.compiling import kernels_of
from facility.columnar.fused.cuda.driver import cuda
from facility.columnar.fused.cuda.memory import Workspace, workspace
from facility.columnar.fused.cuda.source import places
from facility.columnar.fused.program import Program

WARP = 32
THREADS = 4 * WARP
"""Per block, at most: four warps hide each other's waiting, and registers suffice."""
BLOCKS_PER_PROCESSOR = 16
"""At most: a block that lives longer adds up its private histograms less often."""
_NO_FAILURE = np.iinfo(np.int64).max


class Compiled:
    """A program as CUDA kernels.

    Counts are exact; weights are added in an order that changes from time to time, so
    their sums may differ in the last places.
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        self._kernels = kernels_of(program)
        self._places = places(program)

    def __call__(self, units: int, arrays: dict[str, npt.NDArray[Any]]) -> int:
        """Do all units; return 0, or the status of the first that fails.

        Args:
            units: the number of events, or of objects if the program is flat.
            arrays: by parameter: columns and offsets (copied while the host goes on if
                they are in :func:`pinned_buffers`), constants; histograms and
                ``nan_weights``, which are added to; ``failed``, which gets the unit.
        """
        program, space = self._program, workspace()
        given: dict[str, Any] = {
            name: space.send(name, arrays[name])
            for name in (*(i.parameter for i in program.inputs), *program.constants)
        }
        if not program.is_flat:
            for item in program.lists:
                given[item.offsets] = space.send(item.offsets, arrays[item.offsets])
        inputs = [given[i.parameter] for i in program.inputs]
        for momenta, kernel in zip(program.momenta, self._kernels.momenta, strict=True):
            size = units
            if momenta.is_jagged and not program.is_flat:
                size = int(arrays[f"{momenta.name}__offsets"][-1])
            memory = space.take(
                momenta.parameter, np.float64, size * len(momenta.components)
            )
            _launch(space, kernel, size, *inputs, memory)
            given |= {momenta.base: 0, momenta.parameter: memory}
        counts = sum(p.size for p in self._places.values() if not p.is_weighted)
        weights = sum(p.size for p in self._places.values() if p.is_weighted)
        integers = np.zeros(counts + 2, np.int64)  # with the next two
        integers[-1] = _NO_FAILURE
        integral = space.start("integers", integers)
        floating = space.start("floats", np.zeros(weights))
        for name, place in self._places.items():
            whole = floating if place.is_weighted else integral
            given[name] = whole[place.start : place.start + place.size]
        given["nan_weights"] = integral[counts : counts + 1]
        ordered = [given[name] for name in program.parameters]
        _launch(space, self._kernels.fill, units, *ordered, integral[counts + 1 :])
        back = space.fetch(integers=integral, floats=floating)
        for name, place in self._places.items():
            filled = back["floats" if place.is_weighted else "integers"]
            arrays[name] += filled[place.start : place.start + place.size]
        arrays["nan_weights"] += back["integers"][counts]
        failure = int(back["integers"][counts + 1])
        if failure == _NO_FAILURE:
            return 0
        arrays["failed"][0], status = divmod(failure, len(program.failures) + 1)
        return status


def device_name() -> str:
    """Return what the GPU calls itself."""
    # The simulator's has no name.
    name = getattr(cuda.gpus[0], "name", "simulator")
    return name.decode() if isinstance(name, bytes) else str(name)


def _launch(space: Workspace, kernel: Any, size: int, *arguments: Any) -> None:
    if not size:
        return
    # The simulator's device does not say how many it has.
    processors = getattr(cuda.gpus[0], "MULTIPROCESSOR_COUNT", 64)
    # A few events are spread over all processors.
    warps = -(-size // (WARP * processors))
    threads = min(WARP * warps, THREADS)
    blocks = min(-(-size // threads), BLOCKS_PER_PROCESSOR * processors)
    kernel[blocks, threads, space.stream](size, *arguments)
