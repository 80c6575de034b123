"""Differences of angles."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

_TURNS_PER_RADIAN = 1 / math.tau


def delta_phi(phi1: Any, phi2: Any) -> Any:
    """Return ``phi1 - phi2`` in [-pi, pi), as float64: the same bits as in a kernel.

    A difference that needs no wrap is returned as it is.

    Args:
        phi1: radians; scalars or arrays of any kind that broadcast.
        phi2: likewise.
    """
    # float32 columns are subtracted as what they are in a loop over one event: doubles.
    difference = np.multiply(phi1, np.float64(1)) - phi2
    turns = np.floor(difference * _TURNS_PER_RADIAN + 0.5)
    return difference - math.tau * turns
