"""Generated source as machine code."""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from facility.columnar.errors import one_line
from facility.columnar.fused import accumulation, runtime
from facility.columnar.fused.errors import KernelError
from facility.columnar.machine_code import (
    OPTIONS,
    Function,
    NotAloneError,
    is_available,
    load,
    named,
)


def machine_code(source: str, types: Sequence[np.dtype[Any]]) -> Function:
    """Return the function ``run(count, *arrays)`` of generated source, compiled.

    It takes the number of units and the arrays' addresses.

    Args:
        source: defines ``body`` (or ``bin_of``) and ``run``.
        types: of the arrays' numbers.

    Raises:
        KernelError: it is not compiled yet and numba is not installed.
    """
    if not is_available():
        raise KernelError(
            "kernels need numba: pip install 'analysis-facility[kernels]' (kernel"
            ".python(events) and the array style do without)"
        )
    name = named(source, *(t.str for t in types), *_called())
    try:
        return load(name, 1 + len(types), lambda: _compiled(source, types))
    except NotAloneError as error:
        raise KernelError(
            f"{error}, which is a fault of ours: kernel.python(events) and the array "
            "style do without it"
        ) from error


@cache
def _called() -> tuple[str, ...]:
    """Return the text of what generated source calls."""
    modules = (*runtime.MODULES, accumulation, runtime)
    return tuple(inspect.getsource(m) for m in modules)


def _compiled(source: str, types: Sequence[np.dtype[Any]]) -> Any:
    import numba  # takes most of a second, and is only needed here

    compiler: Any = numba.njit  # its types do not have all of its options
    inline = compiler(forceinline=True, error_model="numpy")
    namespace: dict[str, Any] = {
        "np": np,
        "math": math,
        "float64": np.float64,
        "int64": np.int64,
        **runtime.bind(inline),
        **{f.__name__: inline(f) for f in accumulation.FUNCTIONS},
    }
    exec(compile(source, "<kernel>", "exec"), namespace)  # noqa: S102 - our own source
    for name in ("body", "bin_of"):
        if name in namespace:
            namespace[name] = inline(namespace[name])
    pointer: Any = numba.types.CPointer
    signature = numba.int64(numba.int64, *(pointer(numba.from_dtype(t)) for t in types))
    try:
        return compiler(signature, **OPTIONS)(namespace["run"])
    except numba.core.errors.NumbaError as error:
        raise KernelError(
            "numba does not compile what was generated, which is a fault of ours "
            f"(kernel.source(events) shows it): {one_line(error)}"
        ) from error
