"""What a Python environment is made of, its digest, and the difference of two.

Imports only the standard library: it runs in every kernel and every Dask worker.
"""

from facility.environment.comparison import Difference, difference
from facility.environment.inspection import describe
from facility.environment.interpreter import NoInterpreterError
from facility.environment.model import (
    IGNORED,
    Distribution,
    Environment,
    Interpreter,
    Libc,
    Origin,
)

__all__ = [
    "IGNORED",
    "Difference",
    "Distribution",
    "Environment",
    "Interpreter",
    "Libc",
    "NoInterpreterError",
    "Origin",
    "describe",
    "difference",
]
