"""Formulas of four-vectors, once for arrays of any kind.

Source: Particle Data Group, Review of Particle Physics, "Kinematics". Natural units,
radians. Only numpy's ufuncs are called, which awkward and cupy arrays answer where
their data are.
"""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from typing import Any

import numpy as np

from facility.columnar.kernels.angles import delta_phi

COORDINATES = (
    ("pt", "eta", "phi", "mass"),
    ("pt", "eta", "phi", "energy"),
    ("px", "py", "pz", "energy"),
    ("px", "py", "pz", "mass"),
)
"""Sets of fields that make a four-vector; the first that is complete counts."""
COMPONENTS = frozenset(name for names in COORDINATES for name in names)
CARTESIAN = ("px", "py", "pz", "energy")


class Kinematics(metaclass=ABCMeta):
    """Properties of vectors of any coordinates: a field if it is there, else from it.

    ``mass``: a square below zero (rounding) is zero. ``eta`` is infinite along the
    beam and 0 at rest.
    """

    @abstractmethod
    def _has(self, name: str) -> bool:
        """Return whether there is such a field."""

    @abstractmethod
    def _field(self, name: str) -> Any:
        """Return a field as float64."""

    @property
    def px(self) -> Any:
        return self._field("px") if self._has("px") else self.pt * np.cos(self.phi)

    @property
    def py(self) -> Any:
        return self._field("py") if self._has("py") else self.pt * np.sin(self.phi)

    @property
    def pz(self) -> Any:
        return self._field("pz") if self._has("pz") else self.pt * np.sinh(self.eta)

    @property
    def pt(self) -> Any:
        if self._has("pt"):
            return self._field("pt")
        px, py = self.px, self.py
        return np.sqrt(px * px + py * py)

    @property
    def phi(self) -> Any:
        return self._field("phi") if self._has("phi") else np.arctan2(self.py, self.px)

    @property
    def eta(self) -> Any:
        if self._has("eta"):
            return self._field("eta")
        pz = self.pz
        with np.errstate(divide="ignore"):
            # Where pz is 0 eta is, at rest too: no 0/0.
            return np.arcsinh(pz / (self.pt + (pz == 0)))

    @property
    def _p_squared(self) -> Any:
        pz = self.pz
        if self._has("px"):
            px, py = self.px, self.py
            return px * px + py * py + pz * pz
        pt = self.pt
        return pt * pt + pz * pz

    @property
    def p(self) -> Any:
        return np.sqrt(self._p_squared)

    @property
    def energy(self) -> Any:
        if self._has("energy"):
            return self._field("energy")
        mass = self.mass
        return np.sqrt(self._p_squared + mass * mass)

    @property
    def mass(self) -> Any:
        if self._has("mass"):
            return self._field("mass")
        energy = self.energy
        return np.sqrt(np.maximum(energy * energy - self._p_squared, 0))

    @property
    def rapidity(self) -> Any:
        energy, pz = self.energy, self.pz
        with np.errstate(divide="ignore", invalid="ignore"):
            return 0.5 * np.log((energy + pz) / (energy - pz))


PROPERTIES = (*COMPONENTS, "p", "rapidity")


def delta_r(first: Any, second: Any) -> Any:
    """Return ``sqrt(delta_eta^2 + delta_phi^2)`` of what has ``eta`` and ``phi``."""
    along = np.multiply(first.eta, np.float64(1)) - second.eta
    around = delta_phi(first.phi, second.phi)
    return np.sqrt(along * along + around * around)


def transverse_mass(first: Any, second: Any) -> Any:
    """Return ``sqrt(2 pt1 pt2 (1 - cos(delta_phi)))`` of what has ``pt`` and ``phi``.

    The transverse mass of two massless objects, as of a lepton and missing momentum.
    """
    around = delta_phi(first.phi, second.phi)
    product = np.multiply(first.pt, np.float64(2)) * second.pt
    return np.sqrt(product * (1 - np.cos(around)))
