"""Polynomials are as good as the mathematical library, and the same everywhere."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facility.columnar.fused.plain import FORMULAS

ULPS = 2.5
"""Units in the last place, against 80-bit numbers."""


def ulps(got, exact):
    step = np.spacing(abs(np.float64(exact))).astype(np.longdouble)
    return abs(np.longdouble(got) - exact) / step


@given(st.floats(-1e5, 1e5))
def test_sine_and_cosine(x):
    # Near a root of either, what is left of the argument decides: see the next test.
    if min(abs(math.sin(x)), abs(math.cos(x))) < 1e-9:
        return
    sine, cosine = FORMULAS["sine_cosine"](np.float64(x))
    assert ulps(sine, np.sin(np.longdouble(x))) < ULPS
    assert ulps(cosine, np.cos(np.longdouble(x))) < ULPS


@pytest.mark.parametrize("turns", [0, 1, 2, -3, 1000])
def test_near_roots_the_error_is_that_of_the_argument(turns):
    x = turns * math.pi / 2
    sine, cosine = FORMULAS["sine_cosine"](np.float64(x))
    assert abs(sine - math.sin(x)) < 1e-21 * max(1, abs(turns)) + 2.3e-16 * abs(sine)
    assert abs(cosine - math.cos(x)) < 1e-21 * max(1, abs(turns)) + 2.3e-16 * abs(
        cosine
    )


@given(st.one_of(st.floats(-700, 700), st.floats(-1e-3, 1e-3)))
def test_hyperbolic_sine_and_cosine(x):
    sine, cosine = FORMULAS["hyperbolic_sine_cosine"](np.float64(x))
    if abs(x) > 1e-290:
        assert ulps(sine, np.sinh(np.longdouble(x))) < ULPS
    assert ulps(cosine, np.cosh(np.longdouble(x))) < ULPS


@pytest.mark.parametrize("x", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite(x):
    with np.errstate(invalid="ignore"):
        assert np.isnan(FORMULAS["sine_cosine"](np.float64(x))).all()
        sine, cosine = FORMULAS["hyperbolic_sine_cosine"](np.float64(x))
    np.testing.assert_equal([sine, cosine], [np.sinh(x), np.cosh(x)])


@given(st.floats(-4, 4), st.floats(-4, 4))
def test_differences_of_angles_are_within_half_a_turn(a, b):
    difference = FORMULAS["phi_difference"](np.float64(a), np.float64(b))
    assert -math.pi <= difference <= math.pi
    assert math.isclose(math.cos(difference), math.cos(a - b), abs_tol=1e-15)


@pytest.mark.parametrize(
    ("px", "py", "pz", "eta"),
    [(0, 0, 5, np.inf), (0, 0, -5, -np.inf), (0, 0, 0, 0), (3, 4, 0, 0)],
)
def test_pseudorapidity_along_the_beam(px, py, pz, eta):
    numbers = (np.float64(x) for x in (px, py, pz))
    assert FORMULAS["pseudorapidity"](*numbers) == eta


def test_masses_below_zero_by_rounding_are_zero():
    assert FORMULAS["root"](np.float64(-1e-9)) == 0
    assert np.isnan(FORMULAS["root"](np.float64(np.nan)))
