"""A program on the CPU or on a GPU: what is wanted, or what is measured to be faster."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy.typing as npt

from facility.columnar.backends import computing, require_cuda, why_no_cuda
from facility.columnar.buffers import Buffers
from facility.columnar.fused import cpu
from facility.columnar.fused.costs import Engine, Measured, choose
from facility.columnar.fused.measurements import Measurements, remembered
from facility.columnar.fused.program import Program

Arrays = Mapping[str, npt.NDArray[Any]]
Compiled = Callable[[int, dict[str, npt.NDArray[Any]]], int]
"""Does so many events, or objects if the program is flat, with arrays by parameter;
returns 0 or a failure's number."""
PACKAGE = "numba_cuda"


def pinned_buffers() -> Buffers | None:
    """Return where to read columns that may go to a GPU; none if they do not."""
    if computing().wanted == "cpu" or why_no_cuda(PACKAGE):
        return None
    from facility.columnar.fused import cuda  # needs numba

    return cuda.pinned_buffers()


class Engines:
    """One program, compiled for what it runs on when it first does."""

    def __init__(
        self, program: Program, measurements: Measurements | None = None
    ) -> None:
        self._program = program
        self._measurements = measurements
        self._compiled: dict[Engine, Compiled] = {}
        self._warm: set[Engine] = set()
        self._lock = threading.Lock()

    def __call__(self, units: int, arrays: dict[str, npt.NDArray[Any]]) -> int:
        """Do all units; return 0, or the status of the one that ``failed`` names.

        Raises:
            UsageError: a GPU is demanded and cannot be used.
        """
        here = computing()
        if here.wanted == "cuda":
            require_cuda(PACKAGE)
        if here.wanted == "cpu" or why_no_cuda(PACKAGE):
            here.used = "cpu"
            return self._engine("cpu", arrays)(units, arrays)
        measurements, key = self._measurements or _remembered(), self._key()
        if here.wanted == "cuda":
            here.used = "cuda"
        else:
            here.used = choose(measurements.costs(key), units)
        engine = self._engine(here.used, arrays)
        begin = time.perf_counter()
        status = engine(units, arrays)
        seconds = time.perf_counter() - begin
        # The first call compiles.
        if here.used in self._warm and not status:
            measurements.add(key, here.used, Measured(units, seconds))
        self._warm.add(here.used)
        return status

    def _engine(self, engine: Engine, arrays: Arrays) -> Compiled:
        with self._lock:
            if engine not in self._compiled:
                self._compiled[engine] = self._compile(engine, arrays)
            return self._compiled[engine]

    def _compile(self, engine: Engine, arrays: Arrays) -> Compiled:
        if engine == "cpu":
            return cpu.Compiled(self._program, {n: a.dtype for n, a in arrays.items()})
        from facility.columnar.fused import cuda  # needs numba

        return cuda.Compiled(self._program)

    def _key(self) -> str:
        from facility.columnar.fused import cuda

        text = f"{self._program.source}\n{self._program.inputs}"
        return f"{hashlib.sha256(text.encode()).hexdigest()[:24]} {cuda.device_name()}"


@cache
def _remembered() -> Measurements:
    return remembered()
