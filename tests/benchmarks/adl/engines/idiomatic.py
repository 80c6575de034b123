"""Awkward as its documentation writes it: a function of one chunk of events per query.

Lists stay lists: records of four-momenta (float64, once per object), ``combinations``,
``argmin`` and masks; nothing is flattened but what a histogram is filled with.
"""

from functools import reduce
from operator import add

import awkward as ak
import numpy as np
from expert import MOMENTUM, histogram


def double(values):
    return ak.values_astype(values, np.float64)


def records(events, name, *fields):
    return ak.zip({field: events[f"{name}_{field}"] for field in fields})


def momenta(events, name, *more):
    pt, eta, phi, mass = (double(events[f"{name}_{field}"]) for field in MOMENTUM)
    z = pt * np.sinh(eta)
    return ak.zip(
        {
            "x": pt * np.cos(phi),
            "y": pt * np.sin(phi),
            "z": z,
            "e": np.sqrt(pt * pt + z * z + mass * mass),
            **{field: events[f"{name}_{field}"] for field in more},
        }
    )


def mass_of(*members):
    x, y, z, e = (reduce(add, (m[c] for m in members)) for c in "xyze")
    return np.sqrt(np.maximum(e * e - x * x - y * y - z * z, 0))


def q1(events):
    return {"1": histogram(0, 2000).fill(events.MET_pt)}


def q2(events):
    return {"2": histogram(15, 60).fill(ak.flatten(events.Jet_pt))}


def q3(events):
    pt, eta = ak.flatten(events.Jet_pt), ak.flatten(events.Jet_eta)
    return {"3": histogram(15, 60).fill(pt[abs(eta) < 1])}


def q4(events):
    hard = ak.sum(events.Jet_pt > 40, axis=1) >= 2
    return {"4": histogram(0, 2000).fill(events.MET_pt[hard])}


def q5(events):
    a, b = ak.unzip(ak.combinations(momenta(events, "Muon", "charge"), 2))
    mass = mass_of(a, b)
    is_z = (a.charge != b.charge) & (mass > 60) & (mass < 120)
    return {"5": histogram(0, 2000).fill(events.MET_pt[ak.any(is_z, axis=1)])}


def q6(events):
    three = ak.combinations(momenta(events, "Jet", "btag"), 3, fields=["a", "b", "c"])
    mass = mass_of(three.a, three.b, three.c)
    best = ak.argmin(abs(mass - 172.5), axis=1, keepdims=True)
    a, b, c = ak.unzip(ak.flatten(ak.drop_none(three[best])))
    btag = np.maximum(np.maximum(a.btag, b.btag), c.btag)
    return {
        "6a": histogram(15, 40).fill(np.hypot(a.x + b.x + c.x, a.y + b.y + c.y)),
        "6b": histogram(0, 1).fill(btag),
    }


def q7(events):
    jets, muons, electrons = (
        records(events, name, "pt", "eta", "phi")
        for name in ("Jet", "Muon", "Electron")
    )
    jets = jets[jets.pt > 30]
    leptons = ak.concatenate(
        [muons[muons.pt > 10], electrons[electrons.pt > 10]], axis=1
    )
    jet, lepton = ak.unzip(ak.cartesian([jets, leptons], nested=True))
    eta = double(jet.eta) - lepton.eta
    phi = (double(jet.phi) - lepton.phi + np.pi) % (2 * np.pi) - np.pi
    clean = jets.pt[~ak.any(np.hypot(eta, phi) < 0.4, axis=2)]
    total = ak.sum(double(clean), axis=1)
    return {"7": histogram(15, 200).fill(total[ak.num(clean) > 0])}


def q8(events):
    events = events[ak.num(events.Muon_pt) + ak.num(events.Electron_pt) >= 3]
    muons, electrons = (
        momenta(events, name, "pt", "phi", "charge") for name in ("Muon", "Electron")
    )
    muons["place"] = ak.local_index(muons)
    electrons["place"] = ak.num(muons) + ak.local_index(electrons)
    pairs = ak.concatenate([opposite_pairs(muons), opposite_pairs(electrons)], axis=1)
    best = ak.firsts(pairs[ak.argmin(pairs.distance, axis=1, keepdims=True)])
    has_pair = ~ak.is_none(best)
    leptons = ak.concatenate(
        [flavour[["pt", "phi", "place"]] for flavour in (muons, electrons)], axis=1
    )[has_pair]
    best = best[has_pair]
    others = leptons[(leptons.place != best.i) & (leptons.place != best.j)]
    hardest = ak.flatten(others[ak.argmax(others.pt, axis=1, keepdims=True)])
    met = events[["MET_pt", "MET_phi"]][has_pair]
    cosine = np.cos(double(met.MET_phi) - hardest.phi)
    squared = 2 * double(met.MET_pt) * hardest.pt * (1 - cosine)
    return {"8": histogram(15, 250).fill(np.sqrt(squared))}


def opposite_pairs(leptons):
    a, b = ak.unzip(ak.combinations(leptons, 2))
    distance = abs(mass_of(a, b) - 91.2)
    pairs = ak.zip({"distance": distance, "i": a.place, "j": b.place})
    return pairs[a.charge != b.charge]


def ask(query, events):
    """Return the histograms of one chunk."""
    return globals()[f"q{query}"](events)
