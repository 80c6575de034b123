"""The CPU's back end: a compiled loop over events, without the interpreter's lock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from facility.columnar.fused.compiling import machine_code
from facility.columnar.fused.cpu_loop import Arrays, parameters, scratch, source
from facility.columnar.fused.program import Program

__all__ = ["Compiled", "source"]


class Compiled:
    """A program as machine code; several threads may call it at once."""

    def __init__(self, program: Program, types: Mapping[str, np.dtype[Any]]) -> None:
        own = {name: array.dtype for name, array in _smallest(program).items()}
        known = {**types, **own}
        self._program = program
        self._names = parameters(program)
        self._run = machine_code(source(program), [known[n] for n in self._names])

    def __call__(self, units: int, arrays: Arrays) -> int:
        """Do all units; return 0, or the status of the one that ``failed`` names."""
        needed = {**arrays, **scratch(self._program, units, arrays)}
        return self._run(units, *(needed[n].ctypes.data for n in self._names))


def _smallest(program: Program) -> Arrays:
    """Return scratch memory for no events: of the types that any has."""
    nothing = {item.offsets: np.zeros(1, np.int64) for item in program.lists}
    return scratch(program, 0, nothing)
