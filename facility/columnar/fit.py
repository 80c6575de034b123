"""The Z peak in a histogram of masses: a binned likelihood fit with iminuit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import hist
import numpy as np
import numpy.typing as npt
from iminuit import Minuit

from facility.columnar.errors import AnalysisError
from facility.columnar.lineshape import voigt, voigt_fwhm

Floats = npt.NDArray[np.float64]
Parameters = Sequence[float]
"""Mass, width, resolution, signal, background, slope."""

Z_MASS_GEV = 91.1880
"""Where the fit starts. S. Navas et al. (Particle Data Group), PRD 110, 030001."""
Z_WIDTH_GEV = 2.4955
"""The same source."""
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(5)


@dataclass(frozen=True, slots=True)
class Measured:
    """A fitted value and its standard deviation."""

    value: float
    error: float

    def __str__(self) -> str:
        """Round to two digits of the error: ``91.06 +- 0.12``."""
        if not self.error > 0 or not np.isfinite(self.error):
            return f"{self.value:.6g} (fixed)"
        digits = max(0, 1 - int(np.floor(np.log10(self.error))))
        return f"{self.value:.{digits}f} ± {self.error:.{digits}f}"


@dataclass(frozen=True, slots=True)
class PeakFit:
    """A Breit-Wigner folded with a Gaussian, on an exponential background.

    Masses and widths in the unit of the axis (GeV).
    """

    mass: Measured
    width: Measured
    """Full width at half maximum of the Breit-Wigner, the resolution taken out."""
    resolution: Measured
    """Standard deviation of the Gaussian; error 0 if it was given."""
    signal: Measured
    """Events in the peak, inside the range."""
    background: Measured
    """Events below it, inside the range."""
    slope: Measured
    """The background falls as ``exp(-slope (m - low))``."""
    low: float
    high: float
    chi2: float
    """Likelihood ratio to the saturated model (Baker and Cousins, NIM 221 (1984) 437)."""
    degrees_of_freedom: int

    @property
    def fwhm(self) -> float:
        """Full width at half maximum of what one sees: peak and resolution."""
        return voigt_fwhm(self.width.value, self.resolution.value)

    def expected(self, edges: npt.ArrayLike) -> Floats:
        """Return the expected events between neighbouring edges, to draw the curve."""
        parameters = (
            self.mass,
            self.width,
            self.resolution,
            self.signal,
            self.background,
            self.slope,
        )
        return _expected(
            np.asarray(edges, dtype=float),
            self.low,
            self.high,
            tuple(p.value for p in parameters),
        )


def fit_z_peak(
    histogram: hist.Hist[Any],
    low: float = 70.0,
    high: float = 110.0,
    *,
    resolution: float | None = None,
) -> PeakFit:
    """Fit the bins of a one-dimensional histogram of events between two masses.

    Poisson likelihood of each bin, the model integrated over it. ``resolution`` fixes
    the Gaussian; otherwise it is fitted (it then needs thousands of events).

    Raises:
        AnalysisError: too few events, or the minimum is not a valid one.
    """
    edges, counts = _range(histogram, low, high)
    total = float(counts.sum())
    if total < 50:
        raise AnalysisError(
            f"{total:.0f} events between {low} and {high}: a fit of the peak needs 50"
        )

    def chi2(parameters: Parameters) -> float:
        return _baker_cousins(counts, _expected(edges, edges[0], edges[-1], parameters))

    start = {
        "mass": Z_MASS_GEV,
        "width": Z_WIDTH_GEV,
        "resolution": resolution or 1.5,
        "signal": 0.9 * total,
        "background": 0.1 * total,
        "slope": 0.02,
    }
    minuit = Minuit(chi2, tuple(start.values()), name=tuple(start))
    minuit.errordef = Minuit.LEAST_SQUARES  # -2 ln L: one unit is one sigma
    minuit.limits["mass"] = (low, high)
    minuit.limits["width"] = (0.05, high - low)
    minuit.limits["resolution"] = (0.05, high - low)
    minuit.limits["signal"] = minuit.limits["background"] = (0, 2 * total)
    minuit.limits["slope"] = (-1, 1)
    minuit.fixed["resolution"] = resolution is not None
    minuit.migrad()
    minuit.hesse()
    if not minuit.valid:
        raise AnalysisError(
            f"the fit between {low} and {high} did not converge "
            f"(distance to minimum {minuit.fmin.edm:.2g}): take another range"
        )
    return PeakFit(
        **{
            name: Measured(
                float(minuit.values[name]),
                0.0 if minuit.fixed[name] else float(minuit.errors[name]),
            )
            for name in minuit.parameters
        },
        low=float(edges[0]),
        high=float(edges[-1]),
        chi2=float(minuit.fval),
        degrees_of_freedom=len(counts) - minuit.nfit,
    )


def _range(histogram: hist.Hist[Any], low: float, high: float) -> tuple[Floats, Floats]:
    if histogram.ndim != 1:
        raise AnalysisError(
            f"expected a histogram with one axis, got {histogram.ndim}: project it"
        )
    edges = np.asarray(histogram.axes[0].edges, dtype=float)
    first = int(np.searchsorted(edges, low - 1e-9))
    last = int(np.searchsorted(edges, high + 1e-9)) - 1
    if last - first < 7:
        raise AnalysisError(
            f"{max(0, last - first)} bins between {low} and {high}, expected at least 7"
        )
    counts = np.asarray(histogram.values(), dtype=float)
    return edges[first : last + 1], counts[first:last]


def _expected(edges: Floats, low: float, high: float, parameters: Parameters) -> Floats:
    mass, width, resolution, signal, background, slope = parameters
    peak = _integrals(edges, mass, width, resolution)
    # Both parts are normalised to the fitted range: their sizes are events in it.
    whole = np.linspace(low, high, 201)
    inside = _integrals(whole, mass, width, resolution).sum()
    in_peak: Floats = signal * peak / inside
    return in_peak + background * _falling(edges, low, high, slope)


def _integrals(edges: Floats, mass: float, width: float, resolution: float) -> Floats:
    """Integrate the peak over each bin by Gauss-Legendre of five points."""
    half = np.diff(edges)[:, None] / 2
    points = (edges[:-1, None] + half) + half * _NODES
    integrals: Floats = (voigt(points, mass, width, resolution) * half) @ _WEIGHTS
    return integrals


def _falling(edges: Floats, low: float, high: float, slope: float) -> Floats:
    if abs(slope) * (high - low) < 1e-6:
        flat: Floats = np.diff(edges) / (high - low)
        return flat
    falling = -np.expm1(-slope * (edges - low))
    shares: Floats = np.diff(falling) / -np.expm1(-slope * (high - low))
    return shares


def _baker_cousins(counts: Floats, model: Floats) -> float:
    model = np.maximum(model, 1e-12)
    ratio = np.divide(counts, model, out=np.ones_like(model), where=counts > 0)
    return float(2 * np.sum(model - counts + counts * np.log(ratio)))
