"""Expert's numpy: a function of one chunk of events per query, flat where possible.

Four-momenta in float64, once per object and before combinations; positions of the
members of combinations come from awkward, the arithmetic is numpy's.
"""

from functools import reduce
from operator import add

import awkward as ak
import boost_histogram as bh
import numpy as np

MOMENTUM = ("pt", "eta", "phi", "mass")
LARGE, SMALL = 500_000, 50_000
"""Events in one chunk; what suits the query best was measured."""


def of(collection, *fields):
    return [f"{collection}_{field}" for field in fields]


COLUMNS = {
    1: ["MET_pt"],
    2: ["Jet_pt"],
    3: of("Jet", "pt", "eta"),
    4: ["MET_pt", "Jet_pt"],
    5: ["MET_pt", *of("Muon", *MOMENTUM, "charge")],
    6: of("Jet", *MOMENTUM, "btag"),
    7: [n for c in ("Jet", "Muon", "Electron") for n in of(c, "pt", "eta", "phi")],
    8: [
        *of("MET", "pt", "phi"),
        *of("Muon", *MOMENTUM, "charge"),
        *of("Electron", *MOMENTUM, "charge"),
    ],
}
STEPS = dict.fromkeys(COLUMNS, LARGE) | {6: SMALL}


def histogram(low, high):
    return bh.Histogram(bh.axis.Regular(100, low, high), storage=bh.storage.Int64())


class Lists:
    """A collection as flat float64 arrays, and where each event's part begins."""

    def __init__(self, events, name, *fields):
        columns = {field: ak.to_packed(events[f"{name}_{field}"]) for field in fields}
        self.offsets = np.asarray(columns[fields[0]].layout.offsets)
        self.counts = np.diff(self.offsets)
        self.flat = {
            field: np.asarray(column.layout.content.data, np.float64)
            for field, column in columns.items()
        }

    def __getitem__(self, field):
        return self.flat[field]

    def jagged(self, flat):
        return ak.unflatten(flat, self.counts)

    def add_cartesian(self):
        pt, eta, phi, mass = (self.flat[field] for field in MOMENTUM)
        z = pt * np.sinh(eta)
        self.flat["x"] = pt * np.cos(phi)
        self.flat["y"] = pt * np.sin(phi)
        self.flat["z"] = z
        self.flat["e"] = np.sqrt(pt * pt + z * z + mass * mass)

    def combinations(self, size):
        """Return the flat positions of members of all sets, and sets per event."""
        places = self.jagged(np.arange(self.offsets[-1]))
        members = ak.unzip(ak.combinations(places, size))
        return [ak.to_numpy(ak.flatten(m)) for m in members], ak.num(members[0])

    def mass_of(self, members):
        x, y, z, e = (reduce(add, (self.flat[c][m] for m in members)) for c in "xyze")
        return np.sqrt(np.maximum(e * e - x * x - y * y - z * z, 0))


def first_minima(values, counts):
    """Return which of the flat values is each event's smallest; where there is one."""
    least = ak.argmin(ak.unflatten(values, counts), axis=1)
    starts = np.cumsum(ak.to_numpy(counts)) - ak.to_numpy(counts)
    is_there = ~ak.to_numpy(ak.is_none(least))
    return ak.to_numpy(ak.fill_none(least, 0)) + starts, is_there


def q1(events):
    met = histogram(0, 2000)
    met.fill(events.MET_pt)
    return {"1": met}


def q2(events):
    jets = histogram(15, 60)
    jets.fill(ak.flatten(events.Jet_pt))
    return {"2": jets}


def q3(events):
    jets = histogram(15, 60)
    pt, eta = (ak.to_numpy(ak.flatten(c)) for c in (events.Jet_pt, events.Jet_eta))
    jets.fill(pt[abs(eta) < 1])
    return {"3": jets}


def q4(events):
    met = histogram(0, 2000)
    met.fill(events.MET_pt[ak.sum(events.Jet_pt > 40, axis=1) >= 2])
    return {"4": met}


def q5(events):
    met = histogram(0, 2000)
    muons = Lists(events, "Muon", *MOMENTUM, "charge")
    muons.add_cartesian()
    (i, j), counts = muons.combinations(2)
    opposite = muons["charge"][i] != muons["charge"][j]
    event = np.repeat(np.arange(len(events)), ak.to_numpy(counts))[opposite]
    mass = muons.mass_of((i[opposite], j[opposite]))
    chosen = np.zeros(len(events), bool)
    chosen[event[(mass > 60) & (mass < 120)]] = True
    met.fill(ak.to_numpy(events.MET_pt)[chosen])
    return {"5": met}


def q6(events):
    pt, btag = histogram(15, 40), histogram(0, 1)
    jets = Lists(events, "Jet", *MOMENTUM, "btag")
    jets.add_cartesian()
    members, counts = jets.combinations(3)
    distance = abs(jets.mass_of(members) - 172.5)
    best, is_there = first_minima(distance, counts)
    three = [m[best[is_there]] for m in members]
    pt.fill(np.hypot(*(sum(jets[c][m] for m in three) for c in "xy")))
    btag.fill(np.max([jets["btag"][m] for m in three], axis=0))
    return {"6a": pt, "6b": btag}


def q7(events):
    sums = histogram(15, 200)
    events = events[ak.any(events.Jet_pt > 30, axis=1)]
    jets, muons, electrons = (
        ak.zip({f: events[f"{kind}_{f}"] for f in ("pt", "eta", "phi")})
        for kind in ("Jet", "Muon", "Electron")
    )
    jets = jets[jets.pt > 30]
    leptons = ak.concatenate(
        [muons[muons.pt > 10], electrons[electrons.pt > 10]], axis=1
    )
    jet, lepton = ak.unzip(ak.cartesian([jets, leptons], nested=True))
    eta = ak.values_astype(jet.eta, np.float64) - lepton.eta
    phi = ak.values_astype(jet.phi, np.float64) - lepton.phi
    phi = (phi + np.pi) % (2 * np.pi) - np.pi
    clean = jets.pt[~ak.any(np.sqrt(eta * eta + phi * phi) < 0.4, axis=2)]
    total = ak.sum(ak.values_astype(clean, np.float64), axis=1)
    sums.fill(total[ak.num(clean) > 0])
    return {"7": sums}


def q8(events):
    masses = histogram(15, 250)
    events = events[ak.num(events.Muon_pt) + ak.num(events.Electron_pt) >= 3]
    shortest = np.full(len(events), np.inf)
    chosen = np.zeros((2, len(events)), int)
    flavours = [
        Lists(events, kind, *MOMENTUM, "charge") for kind in ("Muon", "Electron")
    ]
    first = 0
    for leptons in flavours:
        leptons.add_cartesian()
        (i, j), counts = leptons.combinations(2)
        distance = abs(leptons.mass_of((i, j)) - 91.2)
        distance[leptons["charge"][i] == leptons["charge"][j]] = np.inf
        best, is_there = first_minima(distance, counts)
        event, best = np.flatnonzero(is_there), best[is_there]
        nearer = distance[best] < shortest[event]
        event, best = event[nearer], best[nearer]
        shortest[event] = distance[best]
        chosen[:, event] = first + i[best], first + j[best]
        first += len(leptons["pt"])
    pt, phi = (np.concatenate([of[f] for of in flavours]) for f in ("pt", "phi"))
    is_pair = np.isfinite(shortest)
    pt[chosen[:, is_pair]] = -1
    muons = len(flavours[0]["pt"])
    places = ak.concatenate(
        [
            flavours[0].jagged(np.arange(muons)),
            flavours[1].jagged(np.arange(muons, len(pt))),
        ],
        axis=1,
    )[is_pair]
    momenta = ak.unflatten(pt[ak.to_numpy(ak.flatten(places))], ak.num(places))
    hardest = ak.argmax(momenta, axis=1, keepdims=True)
    other = ak.to_numpy(ak.flatten(places[hardest]))
    met = events[is_pair]
    cosine = np.cos(ak.to_numpy(met.MET_phi).astype(np.float64) - phi[other])
    product = ak.to_numpy(met.MET_pt).astype(np.float64) * pt[other]
    masses.fill(np.sqrt(2 * product * (1 - cosine)))
    return {"8": masses}


def ask(query, events):
    """Return the histograms of one chunk."""
    return globals()[f"q{query}"](events)
