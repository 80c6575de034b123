"""Formulas of four-momenta, once for plain Python and every back end.

Natural units; all in 64-bit floating-point numbers, in the order that is written here,
so that every back end without fused multiply-add gives the same bits. Kinematics:
Particle Data Group, Review of Particle Physics, section "Kinematics".
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from facility.columnar.fused.trigonometry import hyperbolic_sine_cosine, sine_cosine

TWO_PI = 6.283185307179586
TWO_PI_INVERSE = 0.15915494309189535


def root(x: Any) -> Any:
    """Return the square root; a rounding below zero is zero, NaN stays."""
    return 0.0 if x < 0.0 else math.sqrt(x)


def from_pt_eta_phi_mass(pt: Any, eta: Any, phi: Any, mass: Any) -> Any:
    """Return px, py, pz, energy."""
    sine, cosine = sine_cosine(phi)
    along, total = hyperbolic_sine_cosine(eta)
    p = pt * total
    return pt * cosine, pt * sine, pt * along, math.sqrt(p * p + mass * mass)


def from_pt_eta_phi_energy(pt: Any, eta: Any, phi: Any, energy: Any) -> Any:
    """Return px, py, pz, energy."""
    sine, cosine = sine_cosine(phi)
    along, _ = hyperbolic_sine_cosine(eta)
    return pt * cosine, pt * sine, pt * along, energy


def from_px_py_pz_mass(px: Any, py: Any, pz: Any, mass: Any) -> Any:
    """Return px, py, pz, energy."""
    return px, py, pz, math.sqrt(px * px + py * py + pz * pz + mass * mass)


def mass_squared(px: Any, py: Any, pz: Any, energy: Any) -> Any:
    """Return the square of the invariant mass, as it comes: below zero by rounding."""
    return energy * energy - px * px - py * py - pz * pz


def pt_squared(px: Any, py: Any) -> Any:
    """Return the square of the transverse momentum."""
    return px * px + py * py


def p_squared(px: Any, py: Any, pz: Any) -> Any:
    """Return the square of the momentum."""
    return px * px + py * py + pz * pz


def pseudorapidity(px: Any, py: Any, pz: Any) -> Any:
    """Return eta; infinite along the beam, with the sign of pz, and 0 at rest."""
    across = px * px + py * py
    along = abs(pz)
    if across == 0.0:
        eta = 0.0 if along == 0.0 else np.inf
    else:
        p = math.sqrt(across + along * along)
        eta = math.log((p + along) / math.sqrt(across))
    return -eta if pz < 0.0 else eta


def azimuth(px: Any, py: Any) -> Any:
    """Return phi in (-pi, pi]."""
    return math.atan2(py, px)


def rapidity_of(pz: Any, energy: Any) -> Any:
    """Return ``ln((E + pz) / (E - pz)) / 2``."""
    return 0.5 * math.log((energy + pz) / (energy - pz))


def phi_difference(phi1: Any, phi2: Any) -> Any:
    """Return ``phi1 - phi2`` brought into [-pi, pi)."""
    difference = phi1 - phi2
    return difference - TWO_PI * np.floor(difference * TWO_PI_INVERSE + 0.5)


def delta_r_squared(eta1: Any, phi1: Any, eta2: Any, phi2: Any) -> Any:
    """Return ``(eta1 - eta2)^2 + (phi1 - phi2)^2``."""
    across = phi_difference(phi1, phi2)
    along = eta1 - eta2
    return along * along + across * across


def transverse_mass_squared(pt1: Any, phi1: Any, pt2: Any, phi2: Any) -> Any:
    """Return ``2 pt1 pt2 (1 - cos(phi1 - phi2))``: both particles massless."""
    _, cosine = sine_cosine(phi_difference(phi1, phi2))
    return 2.0 * pt1 * pt2 * (1.0 - cosine)


FUNCTIONS = (
    root,
    from_pt_eta_phi_mass,
    from_pt_eta_phi_energy,
    from_px_py_pz_mass,
    mass_squared,
    pt_squared,
    p_squared,
    pseudorapidity,
    azimuth,
    rapidity_of,
    phi_difference,
    delta_r_squared,
    transverse_mass_squared,
)
