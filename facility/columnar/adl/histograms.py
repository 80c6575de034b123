"""The binnings of the eight queries."""

from __future__ import annotations

from typing import Any

import hist

BINS = 100

Histogram = hist.Hist[Any]


def _of(low: float, high: float, name: str, label: str) -> Histogram:
    axis = hist.axis.Regular(BINS, low, high, name=name, label=label)
    return hist.Hist(axis, storage=hist.storage.Int64())


def met() -> Histogram:
    """Return the empty histogram of queries 1, 4 and 5."""
    return _of(0, 2000, "met", "missing transverse momentum [GeV]")


def jet_pt() -> Histogram:
    """Return the empty histogram of queries 2 and 3."""
    return _of(15, 60, "pt", "jet pT [GeV]")


def trijet_pt() -> Histogram:
    """Return the first empty histogram of query 6."""
    return _of(15, 40, "pt", "tri-jet pT [GeV]")


def btag() -> Histogram:
    """Return the second empty histogram of query 6."""
    return _of(0, 1, "btag", "largest b-tag in the tri-jet")


def jet_sum() -> Histogram:
    """Return the empty histogram of query 7."""
    return _of(15, 200, "sum_pt", "scalar sum of jet pT [GeV]")


def transverse_mass() -> Histogram:
    """Return the empty histogram of query 8."""
    return _of(15, 250, "mt", "transverse mass of lepton and MET [GeV]")
