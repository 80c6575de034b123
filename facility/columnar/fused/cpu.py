"""The CPU's back end: a compiled loop over events, without the interpreter's lock.

Four-momenta are computed for a block of events at a time, so that they are still in
the cache when the events are done, and the loop that computes them is vectorised.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from facility.columnar.fused.program import Momenta, Program
from facility.columnar.fused.runtime import bind

BLOCK_EVENTS = 256
"""Events whose four-momenta are computed at once: tens of kilobytes."""
BLOCK_OBJECTS = 1024
"""The same, for programs of objects."""

Arrays = Mapping[str, npt.NDArray[Any]]


def source(program: Program) -> str:
    """Return the whole generated source: the body, and ``run``, the loop round it."""
    return f"{program.source}\n\n{_driver(program)}"


def parameters(program: Program) -> tuple[str, ...]:
    """Return the arrays that ``run`` takes after the number of events, in order."""
    bases = {m.base for m in program.momenta}
    return (*(p for p in program.parameters if p not in bases), "failed")


def _driver(program: Program) -> str:
    arrays = ", ".join(parameters(program))
    call = f"body({', '.join(('at', *program.parameters))})"
    lines = [f"def run(events, {arrays}):"]
    if program.unit == "event":
        begin, end, block = "0", "events", BLOCK_EVENTS
    else:
        begin = f"{program.unit}__offsets[0]"
        end, block = f"{program.unit}__offsets[events]", BLOCK_OBJECTS
    depth = 1
    if program.momenta:
        lines += [
            f"    end = {end}",
            f"    for first in range({begin}, end, {block}):",
            f"        last = min(first + {block}, end)",
        ]
        depth = 2
        begin, end = "first", "last"
        for momenta in program.momenta:
            lines += _momenta(program, momenta)
    pad = "    " * depth
    lines += [
        f"{pad}for at in range({begin}, {end}):",
        f"{pad}    status = {call}",
        f"{pad}    if status != 0:",
        f"{pad}        failed[0] = at",
        f"{pad}        return status",
        "    return 0",
        "",
    ]
    return "\n".join(lines)


def _momenta(program: Program, momenta: Momenta) -> list[str]:
    first, last = "first", "last"
    if momenta.is_jagged and program.unit == "event":
        first, last = (f"{momenta.name}__offsets[{x}]" for x in (first, last))
    stride = len(momenta.components)
    call = f"{momenta.function}({', '.join(momenta.arguments)})"
    return [
        f"        {momenta.base} = {first}",
        f"        for j in range({momenta.base}, {last}):",
        f"            px, py, pz, energy = {call}",
        *(
            f"            {momenta.parameter}[{stride} * (j - {momenta.base}) + {i}]"
            f" = {component}"
            for i, component in enumerate(momenta.components)
        ),
    ]


def scratch_sizes(program: Program, events: int, arrays: Arrays) -> dict[str, int]:
    """Return how many numbers each block's four-momenta are at most."""
    sizes: dict[str, int] = {}
    for momenta in program.momenta:
        objects = BLOCK_OBJECTS if program.unit != "event" else BLOCK_EVENTS
        if momenta.is_jagged and program.unit == "event":
            offsets = arrays[f"{momenta.name}__offsets"]
            edges = np.append(offsets[:events:BLOCK_EVENTS], offsets[events])
            objects = int(np.max(np.diff(edges), initial=0))
        sizes[momenta.parameter] = objects * len(momenta.components)
    return sizes


class Compiled:
    """A program as machine code; calls of it run without the interpreter's lock."""

    def __init__(self, program: Program, types: Mapping[str, np.dtype[Any]]) -> None:
        scratch = {m.parameter: np.dtype(np.float64) for m in program.momenta}
        known = {**types, **scratch}
        self._program = program
        self._names = parameters(program)
        self._run = _compiled(source(program), [known[n] for n in self._names])

    def __call__(self, events: int, arrays: Arrays) -> int:
        """Do all events; return 0, or the status of the one that ``failed`` names."""
        sizes = scratch_sizes(self._program, events, arrays)
        scratch = {name: np.empty(size) for name, size in sizes.items()}
        needed = {**arrays, **scratch}
        pointers = [needed[name].ctypes.data for name in self._names]
        return int(self._run(events, *pointers))


def _compiled(text: str, types: list[np.dtype[Any]]) -> Callable[..., int]:
    import numba  # takes most of a second, and is only needed to compile

    options: dict[str, Any] = {"error_model": "numpy", "forceinline": True}
    inline = numba.njit(**options)
    namespace: dict[str, Any] = {
        "np": np,
        "math": math,
        "float64": np.float64,
        "int64": np.int64,
        **bind(inline),
    }
    for function in (count, weigh, weigh_squares):
        namespace[function.__name__] = inline(function)
    exec(compile(text, "<kernel>", "exec"), namespace)  # noqa: S102 - our own source
    namespace["body"] = inline(namespace["body"])
    pointer: Any = numba.types.CPointer
    signature = numba.int64(numba.int64, *(pointer(numba.from_dtype(t)) for t in types))
    compiled: Any = numba.cfunc(signature, nogil=True, error_model="numpy")(
        namespace["run"]
    )
    kind = ctypes.CFUNCTYPE(
        ctypes.c_int64, ctypes.c_int64, *[ctypes.c_void_p] * len(types)
    )
    function = kind(compiled.address)
    function.keeps = compiled  # type: ignore[attr-defined]
    return function


def count(histogram: Any, at: Any) -> None:
    """Add 1 to a bin."""
    histogram[at] += 1


def weigh(histogram: Any, at: Any, weight: Any) -> None:
    """Add a weight to a bin."""
    histogram[at] += weight


def weigh_squares(histogram: Any, at: Any, weight: Any) -> None:
    """Add a weight and its square to a bin."""
    histogram[2 * at] += weight
    histogram[2 * at + 1] += weight * weight
