"""Invariant masses against four-momenta added up one by one."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facility.columnar.kernels import mass_of_sum, massless_pair_mass, pair_mass

PARTICLE = st.tuples(
    st.floats(1, 500), st.floats(-4, 4), st.floats(-math.pi, math.pi), st.floats(0, 10)
)


def four_momentum(pt, eta, phi, mass):
    px, py, pz = pt * math.cos(phi), pt * math.sin(phi), pt * math.sinh(eta)
    return math.sqrt(px**2 + py**2 + pz**2 + mass**2), px, py, pz


def added(first, second):
    pairs = zip(four_momentum(*first), four_momentum(*second), strict=True)
    energy, *momentum = (a + b for a, b in pairs)
    return energy**2 - sum(p**2 for p in momentum), energy


@given(PARTICLE, PARTICLE)
def test_the_mass_of_a_pair_is_that_of_the_sum(first, second):
    squared, energy = added(first, second)
    assert pair_mass(*first, *second) ** 2 == pytest.approx(
        squared, abs=1e-11 * energy**2
    )


@given(PARTICLE, PARTICLE)
def test_without_masses_the_short_formula_is_the_same(first, second):
    first, second = (*first[:3], 0.0), (*second[:3], 0.0)
    squared, energy = added(first, second)
    assert massless_pair_mass(*first[:3], *second[:3]) ** 2 == pytest.approx(
        squared, abs=1e-11 * energy**2
    )


def test_back_to_back_in_single_precision():
    one = np.float32(1)
    mass = massless_pair_mass(45 * one, 0 * one, 0 * one, 45 * one, 0 * one, np.pi)
    assert float(mass) == pytest.approx(90, rel=1e-6)


def test_a_rounding_below_zero_is_zero():
    particle = (50.0, 3.999, 1.0, 0.0)
    assert pair_mass(*particle, *particle) < 0.01
    assert mass_of_sum(1.0, 1.0, 1e-8, 0.0) == 0
