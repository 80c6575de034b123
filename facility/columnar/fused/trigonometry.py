"""Sine, cosine and their hyperbolic kin by polynomials: additions and products only.

They give the same bits in Python, in compiled loops and on any processor, and loops
over them are vectorised, which calls of the mathematical library are not. Within 2.5
units in the last place of the exact value for ``|phi| < 1e5`` and any ``eta``. NaN
gives NaN.
"""

from __future__ import annotations

from typing import Any

import numpy as np

ROUND = 6755399441055744.0
"""1.5 * 2^52: added to a number, its last bits are the nearest integer."""
HALF_PI_INVERSE = 0.6366197723675814
# pi/2 in three parts, the first two of 33 bits: their products with k are exact.
HALF_PI_1 = 1.57079632673412561417
HALF_PI_2 = 6.07710050630396597660e-11
HALF_PI_3 = 2.02226624879595063154e-21
LOG2_E = 1.4426950408889634
LN_2_HIGH = 0.693147180369123816490
LN_2_LOW = 1.90821492927058770002e-10
LARGEST = 709.0
"""Beyond it hyperbolic functions are infinite here."""


def sine_cosine(x: Any) -> Any:
    """Return ``sin(x), cos(x)``; infinities give NaN."""
    shifted = x * HALF_PI_INVERSE + ROUND
    k = shifted - ROUND
    quadrant = np.float64(shifted).view(np.int64)
    r = ((x - k * HALF_PI_1) - k * HALF_PI_2) - k * HALF_PI_3
    z = r * r
    # Taylor series on [-pi/4, pi/4], to r^17 and r^16: the rest is below 2^-60.
    s = 1 / 355687428096000.0 * z - 1 / 1307674368000.0
    s = s * z + 1 / 6227020800.0
    s = s * z - 1 / 39916800.0
    s = s * z + 1 / 362880.0
    s = s * z - 1 / 5040.0
    s = s * z + 1 / 120.0
    s = s * z - 1 / 6.0
    sine = r + r * z * s
    c = 1 / 20922789888000.0 * z - 1 / 87178291200.0
    c = c * z + 1 / 479001600.0
    c = c * z - 1 / 3628800.0
    c = c * z + 1 / 40320.0
    c = c * z - 1 / 720.0
    c = c * z + 1 / 24.0
    half = 0.5 * z
    rest = 1.0 - half
    cosine = rest + (((1.0 - rest) - half) + z * z * c)
    is_odd = quadrant & 1 != 0
    first = cosine if is_odd else sine
    second = sine if is_odd else cosine
    return (
        -first if quadrant & 2 != 0 else first,
        -second if (quadrant + 1) & 2 != 0 else second,
    )


def hyperbolic_sine_cosine(x: Any) -> Any:
    """Return ``sinh(x), cosh(x)``, precise for small ``x`` too."""
    size = abs(x)
    # Not NaN from here on; it comes back at the end.
    bounded = size if size < LARGEST else 0.0
    shifted = bounded * LOG2_E + ROUND
    k = shifted - ROUND
    r = (bounded - k * LN_2_HIGH) - k * LN_2_LOW
    # e^r - 1 by its Taylor series on [0 - ln 2 / 2, ln 2 / 2]: the rest is < 2^-57.
    p = 1 / 6227020800.0 * r + 1 / 479001600.0
    p = p * r + 1 / 39916800.0
    p = p * r + 1 / 3628800.0
    p = p * r + 1 / 362880.0
    p = p * r + 1 / 40320.0
    p = p * r + 1 / 5040.0
    p = p * r + 1 / 720.0
    p = p * r + 1 / 120.0
    p = p * r + 1 / 24.0
    p = p * r + 1 / 6.0
    p = p * r + 0.5
    p = r + r * r * p
    power = np.int64((np.float64(shifted).view(np.int64) + 1023) << 52).view(np.float64)
    less_one = power * p + (power - 1.0)
    exponential = less_one + 1.0
    inverse = 1.0 / exponential
    sine = 0.5 * (less_one + less_one * inverse)
    cosine = 0.5 * (exponential + inverse)
    is_bounded = size < LARGEST
    beyond = size + np.inf
    sine = sine if is_bounded else beyond
    return (-sine if x < 0.0 else sine), (cosine if is_bounded else beyond)


FUNCTIONS = (sine_cosine, hyperbolic_sine_cosine)
