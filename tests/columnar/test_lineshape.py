"""The Voigt profile against integrals and closed forms that share no code with it."""

import math

import numpy as np
import pytest

from facility.columnar.lineshape import faddeeva, voigt, voigt_fwhm


@pytest.mark.parametrize("y", [0.01, 0.5, 1.0, 2.0, 5.0])
def test_on_the_imaginary_axis_it_is_the_scaled_error_function(y):
    assert faddeeva(1j * y).real == pytest.approx(
        math.exp(y * y) * math.erfc(y), rel=1e-12
    )


def test_far_away_it_is_the_asymptotic_series():
    z = np.array([300 + 1e-3j, 40 + 40j, -500 + 2j])
    series = 1j / np.sqrt(np.pi) * (1 / z + 1 / (2 * z**3) + 3 / (4 * z**5))
    assert faddeeva(z) == pytest.approx(series, rel=1e-7)


@pytest.mark.parametrize(("width", "resolution"), [(2.5, 1.0), (0.2, 2.0), (5, 0.5)])
def test_it_is_the_convolution(width, resolution):
    t = np.linspace(-12 * resolution, 12 * resolution, 200_001)
    step = t[1] - t[0]
    gauss = np.exp(-0.5 * (t / resolution) ** 2) / (resolution * np.sqrt(2 * np.pi))
    for x in (0.0, 0.7, 3.0, 20.0):
        lorentz = width / (2 * np.pi) / ((x - t) ** 2 + width**2 / 4)
        assert float(voigt(91 + x, 91, width, resolution)) == pytest.approx(
            float(np.sum(gauss * lorentz) * step), rel=1e-7
        )


@pytest.mark.parametrize(("width", "resolution"), [(2.5, 1.0), (0.1, 2.0), (5, 0.1)])
def test_the_full_width_at_half_maximum(width, resolution):
    half = voigt_fwhm(width, resolution) / 2
    top, side = voigt([0.0, half], 0.0, width, resolution)
    assert side / top == pytest.approx(0.5, abs=1e-3)
