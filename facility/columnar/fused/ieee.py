"""``math`` for plain Python as compiled code has it: nothing raises, 1/0 is infinite."""

from __future__ import annotations

import math
import types
from collections.abc import Callable
from typing import Any

import numpy as np

ONE_NUMBER = {
    "sin": "sin", "cos": "cos", "tan": "tan", "asin": "arcsin", "acos": "arccos",
    "atan": "arctan", "sinh": "sinh", "cosh": "cosh", "tanh": "tanh", "exp": "exp",
    "expm1": "expm1", "log": "log", "log1p": "log1p", "log10": "log10",
    "sqrt": "sqrt", "asinh": "arcsinh", "acosh": "arccosh", "atanh": "arctanh",
    "degrees": "degrees", "radians": "radians", "fabs": "fabs",
}  # fmt: skip
"""Functions of one number: in ``math``, and what numpy calls them."""
TWO_NUMBERS = {
    "atan2": "arctan2", "hypot": "hypot", "pow": "power", "copysign": "copysign",
    "fmod": "fmod",
}  # fmt: skip
"""Functions of two numbers, the same way."""
QUESTIONS = ("isnan", "isinf", "isfinite")


def _without_exceptions(name: str, of_numpy: str) -> Callable[..., np.float64]:
    exact, otherwise = getattr(math, name), getattr(np, of_numpy)
    if name == "hypot":  # Python has one of its own, numpy the library's
        exact = otherwise

    def function(*numbers: Any) -> np.float64:
        # The mathematical library's result, as compiled code has it: numpy's own
        # functions differ in the last bit. Numpy knows what to return where it fails.
        try:
            return np.float64(exact(*(float(x) for x in numbers)))
        except (ValueError, OverflowError):
            return np.float64(otherwise(*(np.float64(x) for x in numbers)))

    return function


FUNCTIONS: dict[str, Callable[..., Any]] = {
    name: _without_exceptions(name, of_numpy)
    for name, of_numpy in (ONE_NUMBER | TWO_NUMBERS).items()
}
"""By their names in ``math``."""

MATH = types.SimpleNamespace(**FUNCTIONS, inf=math.inf, nan=math.nan)
"""What formulas need of ``math``."""
