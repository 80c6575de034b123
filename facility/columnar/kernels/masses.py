"""Kinematics of pairs, on flat numpy arrays or awkward arrays of the same shape.

Natural units (GeV, radians); the precision is that of the inputs.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def massless_pair_mass(
    pt1: Any, eta1: Any, phi1: Any, pt2: Any, eta2: Any, phi2: Any
) -> Any:
    """Return the invariant mass of two particles whose own masses are negligible.

    ``m^2 = 2 pt1 pt2 (cosh(eta1 - eta2) - cos(phi1 - phi2))``: Particle Data Group,
    Review of Particle Physics, "Kinematics", section on transverse variables. For
    muons of 20 GeV it is 0.0006 GeV off at the Z.
    """
    return np.sqrt(2 * pt1 * pt2 * (np.cosh(eta1 - eta2) - np.cos(phi1 - phi2)))


def pair_mass(
    pt1: Any, eta1: Any, phi1: Any, m1: Any, pt2: Any, eta2: Any, phi2: Any, m2: Any
) -> Any:
    """Return the invariant mass of two particles of masses ``m1`` and ``m2``.

    ``m^2 = m1^2 + m2^2 + 2 (E1 E2 - p1 . p2)``, ``E^2 = (pt cosh eta)^2 + m^2``; a
    rounding below zero is zero.
    """
    e1 = np.sqrt((pt1 * np.cosh(eta1)) ** 2 + m1**2)
    e2 = np.sqrt((pt2 * np.cosh(eta2)) ** 2 + m2**2)
    transverse = pt1 * pt2 * np.cos(phi1 - phi2)
    along = pt1 * pt2 * np.sinh(eta1) * np.sinh(eta2)
    squared = m1**2 + m2**2 + 2 * (e1 * e2 - transverse - along)
    return np.sqrt(np.maximum(squared, 0))


def mass_of_sum(energy: Any, px: Any, py: Any, pz: Any) -> Any:
    """Return the invariant mass of a summed four-momentum; rounding below 0 is 0."""
    return np.sqrt(np.maximum(energy**2 - px**2 - py**2 - pz**2, 0))
