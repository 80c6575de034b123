"""Kubernetes quantities: ``100m`` CPUs, ``2Gi`` of memory.

Source: Kubernetes API reference, "Quantity" (decimal and binary suffixes, exponents).
"""

from __future__ import annotations

import math
import re
from fractions import Fraction

_QUANTITY = re.compile(
    r"(?P<number>[+-]?(?:\d{1,30}(?:\.\d{0,30})?|\.\d{1,30}))"
    r"(?:(?P<suffix>[numkMGTPE]|[KMGTPE]i)|[eE](?P<exponent>[+-]?\d{1,2}))?"
)
_FACTORS = {
    "n": Fraction(1, 10**9), "u": Fraction(1, 10**6), "m": Fraction(1, 1000),
    "k": Fraction(10**3), "M": Fraction(10**6), "G": Fraction(10**9),
    "T": Fraction(10**12), "P": Fraction(10**15), "E": Fraction(10**18),
    "Ki": Fraction(2**10), "Mi": Fraction(2**20), "Gi": Fraction(2**30),
    "Ti": Fraction(2**40), "Pi": Fraction(2**50), "Ei": Fraction(2**60),
}  # fmt: skip


def parse_quantity(text: str) -> Fraction:
    """Return the exact value of a quantity.

    Raises:
        ValueError: it is none.
    """
    match = _QUANTITY.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"expected a quantity such as 500m or 2Gi, got {text[:40]!r}")
    number = Fraction(match["number"])
    if match["suffix"]:
        return number * _FACTORS[match["suffix"]]
    return number * Fraction(10) ** int(match["exponent"] or 0)


def whole(text: str) -> int:
    """Return a quantity rounded up to a whole number (bytes, CPUs, devices).

    Raises:
        ValueError: it is none, or negative.
    """
    value = parse_quantity(text)
    if value < 0:
        raise ValueError(f"expected a quantity that is not negative, got {text[:40]!r}")
    return math.ceil(value)
