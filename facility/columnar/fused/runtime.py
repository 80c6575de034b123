"""The functions that generated code calls, bound to a back end.

They are written once in plain Python; a back end gives its decorator (``numba.njit``,
``cuda.jit(device=True)``), plain Python a ``math`` module that does not raise.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

from facility.columnar.fused import arithmetic, binning, fourvectors, trigonometry

MODULES = (arithmetic, binning, trigonometry, fourvectors)


def bind(decorate: Callable[[Callable[..., Any]], Any], **names: Any) -> dict[str, Any]:
    """Return all functions by name, decorated, calling each other's decorated form.

    Args:
        decorate: what makes a function of the back end.
        names: what else their global names stand for (``math``).
    """
    namespace: dict[str, Any] = {}
    for module in MODULES:
        namespace |= vars(module)
    namespace |= names
    bound: dict[str, Any] = {}
    for function in (f for module in MODULES for f in module.FUNCTIONS):
        assert isinstance(function, types.FunctionType)
        copy = types.FunctionType(function.__code__, namespace, function.__name__)
        bound[function.__name__] = namespace[function.__name__] = decorate(copy)
    return bound
