"""Operators whose result is not the machine's instruction: as numpy's scalars do it.

Numbers are 64-bit: floating-point ones follow IEEE 754 (1/0 is infinite, 0/0 NaN),
integers wrap round, and an integer divided by zero is zero.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

LARGEST_POWER = 16
"""Whole powers up to this are products."""


def _bits(a: Any) -> Any:
    """Return an integer as one without a sign.

    Sums of these wrap round. Compilers may assume of the others that they never do,
    and leave out a check of the bin number that was made of one.
    """
    return np.uint64(np.int64(a))


def integer_sum(a: Any, b: Any) -> Any:
    """Return ``a + b``."""
    return np.int64(_bits(a) + _bits(b))


def integer_difference(a: Any, b: Any) -> Any:
    """Return ``a - b``."""
    return np.int64(_bits(a) - _bits(b))


def integer_product(a: Any, b: Any) -> Any:
    """Return ``a * b``."""
    return np.int64(_bits(a) * _bits(b))


def integer_power(a: Any, n: int) -> Any:
    """Return ``a ** n`` for ``n`` from 1 on, by products from the left."""
    result = _bits(a)
    for _ in range(n - 1):
        result = result * _bits(a)
    return np.int64(result)


def integer_quotient(a: Any, b: Any) -> Any:
    """Return ``a // b``."""
    if b == 0:
        return np.int64(0)
    if b == -1:  # the smallest integer has no opposite: the processor traps
        return integer_difference(0, a)
    return a // b


def integer_remainder(a: Any, b: Any) -> Any:
    """Return ``a % b``, with the sign of ``b``."""
    if b == 0 or b == -1:  # noqa: PLR1714 - compiled to two comparisons
        return np.int64(0)
    return a % b


def float_remainder(a: Any, b: Any) -> Any:
    """Return ``a % b``, with the sign of ``b``; NaN if that is zero."""
    if b == 0.0:
        return np.nan
    rest = np.fmod(a, b)
    if rest == 0.0:
        return math.copysign(0.0, b)
    return rest + b if (b < 0.0) != (rest < 0.0) else rest


def float_quotient(a: Any, b: Any) -> Any:
    """Return ``a // b``."""
    if b == 0.0:
        return a / b
    rest = np.fmod(a, b)
    quotient = (a - rest) / b
    if rest != 0.0 and (b < 0.0) != (rest < 0.0):
        quotient -= 1.0
    if quotient == 0.0:
        return math.copysign(0.0, a / b)
    whole = np.floor(quotient)
    return whole + 1.0 if quotient - whole > 0.5 else whole


def whole_power(x: Any, n: int) -> Any:
    """Return ``x ** n`` for ``n`` from 1 on, by products from the left."""
    result = x
    for _ in range(n - 1):
        result = result * x
    return result


def smaller(a: Any, b: Any) -> Any:
    """Return what Python's ``min`` does: the first unless the second is less."""
    return min(a, b)


def larger(a: Any, b: Any) -> Any:
    """Return what Python's ``max`` does: the first unless the second is greater."""
    return max(a, b)


def near_middle(target: Any, distance: Any) -> Any:
    """Return the middle of the squares whose roots are nearer to a value than this."""
    return target * target + distance * distance if distance < target else 0.0


def near_width(target: Any, distance: Any) -> Any:
    """Return how far from :func:`near_middle` such squares are at most.

    Infinite where zero is nearer, too. Roundings of all that is compared are some
    1e-15 of the target's square.
    """
    if distance < target:
        return 2.0 * target * distance + (1e-12 * target * target + 1e-300)
    return np.inf


FUNCTIONS = (
    _bits,
    integer_sum,
    integer_difference,
    integer_product,
    integer_power,
    integer_quotient,
    integer_remainder,
    float_remainder,
    float_quotient,
    whole_power,
    smaller,
    larger,
    near_middle,
    near_width,
)
