"""Programs as CUDA kernels: the generated source, bound to numba-cuda."""

from __future__ import annotations

import math
import types
from dataclasses import dataclass
from typing import Any

import numpy as np

from facility.columnar.fused import runtime
from facility.columnar.fused.cuda.driver import IS_SIMULATED, cuda
from facility.columnar.fused.cuda.source import module_source, momenta_kernel
from facility.columnar.fused.program import Program


@dataclass(frozen=True, slots=True)
class Kernels:
    """Those of a program; each is compiled for its types at its first launch."""

    momenta: tuple[Any, ...]
    """In the order of the program's."""
    fill: Any


def kernels_of(program: Program) -> Kernels:
    """Return the kernels of a program.

    A multiplication and an addition may be fused on a GPU: values can differ from the
    CPU's in the last place.
    """
    names = {
        "cuda": cuda,
        "math": math,
        "np": _device_numpy(),
        "float64": np.float64,
        "int64": np.int64,
    }
    # One namespace for all: the simulator exchanges ``cuda`` per namespace.
    namespace = names | runtime.bind(cuda.jit(device=True), **names)
    code = compile(module_source(program), f"<cuda kernel {program.name}>", "exec")
    exec(code, namespace)  # noqa: S102 - it is our own translation
    for function in ("count", "weigh", "weigh_squares", "body"):
        namespace[function] = cuda.jit(device=True)(namespace[function])
    return Kernels(
        tuple(cuda.jit(namespace[momenta_kernel(m)]) for m in program.momenta),
        cuda.jit(namespace["fill"]),
    )


def _device_numpy() -> Any:
    """Return numpy as far as device functions call it.

    numba-cuda has no ``np.floor`` of one number, and a ``math.floor`` that returns a
    floating-point number as numpy's does; in its simulator both are the host's.
    """
    if IS_SIMULATED:
        return np
    device = types.ModuleType("numpy")
    vars(device).update(vars(np))
    vars(device)["floor"] = math.floor
    return device
