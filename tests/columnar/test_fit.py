"""The fit finds what was put in, and its errors are what they say."""

import hist
import numpy as np
import pytest

from facility.columnar import AnalysisError
from facility.columnar.fit import Measured, fit_z_peak

MASS, WIDTH, RESOLUTION = 91.2, 2.5, 1.2


def sample(rng, signal, background):
    peak = MASS + WIDTH / 2 * rng.standard_cauchy(signal)
    peak += rng.normal(0, RESOLUTION, signal)
    falling = 60 + rng.exponential(40, background)
    axis = hist.axis.Regular(120, 60, 120, name="mass")
    return hist.Hist(axis, storage=hist.storage.Int64()).fill(
        np.concatenate([peak, falling])
    )


def test_it_finds_what_was_put_in():
    fit = fit_z_peak(sample(np.random.default_rng(1), 200_000, 40_000))
    for got, true in (
        (fit.mass, MASS),
        (fit.width, WIDTH),
        (fit.resolution, RESOLUTION),
        (fit.slope, 1 / 40),
    ):
        assert abs(got.value - true) < 4 * got.error
    assert fit.mass.error < 0.02
    assert fit.width.error < 0.1
    assert fit.chi2 < fit.degrees_of_freedom + 4 * (2 * fit.degrees_of_freedom) ** 0.5


def test_the_error_of_the_mass_is_its_spread():
    pulls = []
    for seed in range(60):
        fit = fit_z_peak(
            sample(np.random.default_rng([2, seed]), 500, 50), resolution=RESOLUTION
        )
        pulls.append((fit.mass.value - MASS) / fit.mass.error)
    # Standard errors of mean and spread of 60 unit normals: 0.13 and 0.09.
    assert abs(np.mean(pulls)) < 0.45
    assert 0.7 < np.std(pulls) < 1.35


def test_a_given_resolution_is_kept():
    fit = fit_z_peak(sample(np.random.default_rng(3), 5000, 500), resolution=1.2)
    assert fit.resolution == Measured(1.2, 0.0)
    assert "(fixed)" in str(fit.resolution)


def test_the_curve_has_as_many_events_as_the_parts():
    fit = fit_z_peak(sample(np.random.default_rng(4), 5000, 500))
    edges = np.linspace(fit.low, fit.high, 33)
    assert fit.expected(edges).sum() == pytest.approx(
        fit.signal.value + fit.background.value, rel=1e-6
    )


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (91.1876, 0.0021, "91.1876 ± 0.0021"),
        (90.6612, 0.1374, "90.66 ± 0.14"),
        (2108886.7, 1857.1, "2108887 ± 1857"),
        (1.5, 0.0, "1.5 (fixed)"),
    ],
)
def test_measurements_are_rounded_to_their_error(value, error, text):
    assert str(Measured(value, error)) == text


def test_what_cannot_be_fitted_is_said():
    empty = hist.Hist.new.Reg(60, 60, 120).Int64()
    with pytest.raises(AnalysisError, match=r"0 events between 70\.0 and 110\.0"):
        fit_z_peak(empty)
    with pytest.raises(AnalysisError, match="expected at least 7"):
        fit_z_peak(empty, 90, 93)
    with pytest.raises(AnalysisError, match="one axis, got 2"):
        fit_z_peak(hist.Hist.new.Reg(2, 0, 1).Reg(2, 0, 1).Int64())
