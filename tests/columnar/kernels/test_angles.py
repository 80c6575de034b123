"""Differences of angles against the exact remainder."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facility.columnar.kernels import delta_phi

PHI = st.floats(-math.pi, math.pi)


@given(PHI, PHI)
def test_it_is_the_remainder(phi1, phi2):
    exact = math.remainder(phi1 - phi2, math.tau)
    found = delta_phi(phi1, phi2)
    if abs(exact) < math.pi * (1 - 1e-15):
        assert found == exact
    else:
        assert abs(found) == pytest.approx(math.pi, rel=1e-15)


@given(st.floats(-100, 100), st.floats(-100, 100))
def test_it_is_within_half_a_turn(phi1, phi2):
    found = delta_phi(phi1, phi2)
    assert abs(found) <= math.pi * (1 + 1e-15)
    assert math.cos(found) == pytest.approx(math.cos(phi1 - phi2), abs=1e-12)


def test_single_precision_columns_are_subtracted_in_double():
    phi = np.array([3.1, -3.1, np.nan], np.float32)
    found = delta_phi(phi, phi[::-1])
    assert found.dtype == np.float64
    assert found[1] == 0
    assert np.isnan(found[[0, 2]]).all()
    wrapped = math.remainder(2 * float(phi[0]), math.tau)
    assert delta_phi(phi[0], phi[1]) == wrapped
    assert -0.09 < wrapped < 0
