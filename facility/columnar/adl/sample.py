"""Made-up events with the multiplicities of a full CMS open data file.

SIMULATION for rates and for comparing engines, not for physics. What costs time is
right: how many objects an event has, how well floats compress (not at all), how often
a Z decays, how often a lepton lies in a jet.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import awkward as ak
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
Fields = Mapping[str, npt.NDArray[np.float32] | npt.NDArray[np.int32]]

JETS = 3.2
"""Mean number of jets: Run2012B_SingleMu, 53 million events."""
JETS_SHAPE = 0.8155
"""Shape ``r`` of the negative binomial that also has that file's 42 jet triplets.

``E[n (n-1) (n-2)] / 6 = JETS^3 (1 + 1/r) (1 + 2/r) / 6``: the factorial moments of
the distribution.
"""
MUONS = (0.03, 0.45, 0.27, 0.15, 0.06, 0.03, 0.01)
"""Probabilities of 0, 1, 2 ... muons: a trigger asked for one."""
ELECTRONS = (0.42, 0.28, 0.16, 0.08, 0.04, 0.02)
Z_MASS_GEV = 91.1880
"""Particle Data Group, Review of Particle Physics 2024."""
Z_WIDTH_GEV = 2.4955
MUON_MASS_GEV = 0.1056584
ELECTRON_MASS_GEV = 0.000511
Z_FRACTION = 0.4
"""Of the events with two leptons of a flavour: those whose first two are a Z's."""
LEPTON_IN_JET = 0.3
"""Of the events with a jet and a muon: those whose first jet has the first muon."""
BLOCK = 100_000
"""Events of one random stream; nothing depends on how they are written."""

COLLECTIONS: Mapping[str, Mapping[str, str]] = {
    "Jet": dict.fromkeys(("pt", "eta", "phi", "mass", "btag"), "float32"),
    "Muon": dict.fromkeys(("pt", "eta", "phi", "mass"), "float32")
    | {"charge": "int32"},
    "Electron": dict.fromkeys(("pt", "eta", "phi", "mass"), "float32")
    | {"charge": "int32"},
}
"""Fields of each collection, in GeV and radians, and their types."""
FLAT = ("MET_pt", "MET_phi")
"""Columns with one float32 per event."""


def blocks(events: int, seed: int) -> Iterator[ak.Array]:
    """Yield ``events`` events, ``BLOCK`` at a time: the same for the same seed.

    Records of ``MET_pt``, ``MET_phi`` and the jagged ``Jet``, ``Muon``, ``Electron``.
    """
    for index, start in enumerate(range(0, events, BLOCK)):
        rng = np.random.default_rng([seed, index])
        yield _block(rng, min(BLOCK, events - start))


@dataclass(frozen=True, slots=True)
class _Lists:
    """How many objects each event has."""

    counts: Counts

    @property
    def offsets(self) -> Counts:
        return np.concatenate(([0], np.cumsum(self.counts)))

    @property
    def total(self) -> int:
        return int(self.counts.sum())

    def first_of(self, at_least: int) -> Counts:
        """Return where the events with so many objects begin."""
        return self.offsets[:-1][self.counts >= at_least]

    def of(self, fields: Fields) -> ak.Array:
        records = ak.contents.RecordArray(
            [ak.contents.NumpyArray(content) for content in fields.values()],
            list(fields),
        )
        offsets = ak.index.Index64(self.offsets)
        return ak.Array(ak.contents.ListOffsetArray(offsets, records))


def _block(rng: np.random.Generator, events: int) -> ak.Array:
    jets = _Lists(rng.negative_binomial(JETS_SHAPE, _success(), events))
    muons, electrons = (
        _Lists(rng.choice(len(p), size=events, p=np.asarray(p)))
        for p in (MUONS, ELECTRONS)
    )
    muon = _leptons(rng, muons, MUON_MASS_GEV)
    jet = _jets(rng, jets)
    both = (jets.counts > 0) & (muons.counts > 0) & (rng.random(events) < LEPTON_IN_JET)
    in_jet, in_muon = jets.offsets[:-1][both], muons.offsets[:-1][both]
    jet["eta"][in_jet] = muon["eta"][in_muon] + rng.normal(0, 0.1, len(in_jet))
    jet["phi"][in_jet] = muon["phi"][in_muon]
    # A detector's resolution, and a tail of neutrinos.
    met = rng.rayleigh(18.0, events) + rng.exponential(12.0, events)
    return ak.zip(
        {
            "MET_pt": met.astype(np.float32),
            "MET_phi": _azimuth(rng, events).astype(np.float32),
            "Jet": jets.of(_typed("Jet", jet)),
            "Muon": muons.of(_typed("Muon", muon)),
            "Electron": electrons.of(
                _typed("Electron", _leptons(rng, electrons, ELECTRON_MASS_GEV))
            ),
        },
        depth_limit=1,
    )


def _success() -> float:
    return JETS_SHAPE / (JETS_SHAPE + JETS)


def _jets(rng: np.random.Generator, lists: _Lists) -> dict[str, Floats]:
    """Return jets with a falling spectrum from 15 GeV on, hardest first."""
    pt = _hardest_first(15 * (1 + rng.pareto(2.2, lists.total)), lists)
    btag = rng.beta(0.6, 1.6, lists.total)
    # As the experiment marks a jet without the tracks that a tag needs.
    btag[rng.random(lists.total) < 0.1] = -1
    return {
        "pt": pt,
        "eta": np.clip(rng.normal(0, 1.9, lists.total), -4.9, 4.9),
        "phi": _azimuth(rng, lists.total),
        "mass": pt * rng.uniform(0.05, 0.25, lists.total),
        "btag": btag,
    }


def _leptons(rng: np.random.Generator, lists: _Lists, mass: float) -> dict[str, Floats]:
    """Return soft leptons, hardest first, and Z decays."""
    pt = 3 + rng.exponential(12.0, lists.total)
    eta = np.clip(rng.normal(0, 1.2, lists.total), -2.4, 2.4)
    phi = _azimuth(rng, lists.total)
    charge = rng.choice((-1.0, 1.0), lists.total)
    # A Z without transverse momentum: its leptons are back to back, in its rapidity.
    first = lists.first_of(2)
    first = first[rng.random(len(first)) < Z_FRACTION]
    line = Z_MASS_GEV + Z_WIDTH_GEV / 2 * rng.standard_cauchy(len(first))
    cos = rng.uniform(-1, 1, len(first))
    rapidity = rng.normal(0, 0.8, len(first))
    turn = rng.uniform(0, np.pi, len(first))
    for place, sign in ((first, 1), (first + 1, -1)):
        smeared = rng.normal(1, 0.015, len(first))
        pt[place] = np.clip(line, 20, 500) / 2 * np.sqrt(1 - cos**2) * smeared
        eta[place] = rapidity + sign * np.arctanh(cos)
        phi[place] = turn - (np.pi if sign < 0 else 0)
    charge[first + 1] = -charge[first]
    order = _order(pt, lists)
    return {
        "pt": pt[order],
        "eta": eta[order],
        "phi": phi[order],
        "mass": np.full(lists.total, mass),
        "charge": charge[order],
    }


def _hardest_first(pt: Floats, lists: _Lists) -> Floats:
    return pt[_order(pt, lists)]


def _order(pt: Floats, lists: _Lists) -> npt.NDArray[np.intp]:
    event = np.repeat(np.arange(len(lists.counts)), lists.counts)
    return np.lexsort((-pt, event))


def _azimuth(rng: np.random.Generator, count: int) -> Floats:
    return rng.uniform(-np.pi, np.pi, count)


def _typed(collection: str, fields: Mapping[str, Floats]) -> Fields:
    return {
        name: fields[name].astype(dtype)
        for name, dtype in COLLECTIONS[collection].items()
    }
