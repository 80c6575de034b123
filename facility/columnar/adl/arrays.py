"""The eight queries with arrays: each a function ``Events -> histograms``.

Comparisons are those of a loop over one event: the first of equals wins, and what is
NaN is never near, between or larger.
"""

from __future__ import annotations

import awkward as ak

from facility.columnar.adl import histograms
from facility.columnar.adl.histograms import Histogram
from facility.columnar.events import Events
from facility.columnar.kernels import (
    argmax_by,
    cleaned,
    closest,
    combinations,
    fill,
    objects,
    pairs,
    selected,
    transverse_mass,
)

TOP_MASS_GEV = 172.5
Z_MASS_GEV = 91.2


def missing_momentum(events: Events) -> Histogram:
    """Query 1: MET of all events."""
    return fill(histograms.met(), events.MET.pt)


def jet_momenta(events: Events) -> Histogram:
    """Query 2: pT of all jets."""
    return fill(histograms.jet_pt(), events.Jet.pt)


def central_jets(events: Events) -> Histogram:
    """Query 3: pT of jets with abs(eta) < 1."""
    # Which event a jet is of does not matter: flat arrays are faster.
    pt, eta = ak.flatten(events.Jet.pt), ak.flatten(events.Jet.eta)
    return fill(histograms.jet_pt(), pt[abs(eta) < 1])


def two_hard_jets(events: Events) -> Histogram:
    """Query 4: MET of events with at least two jets with pT > 40."""
    hard = ak.sum(events.Jet.pt > 40, axis=1)
    return fill(histograms.met(), events.MET.pt[hard >= 2])


def dimuons(events: Events) -> Histogram:
    """Query 5: MET of events with an opposite-charge muon pair, 60 < mass < 120."""
    muons = objects(events.Muon, "charge")
    first, second = pairs(muons)
    opposite = first.charge != second.charge
    mass = (first[opposite] + second[opposite]).mass
    chosen = ak.any((mass > 60) & (mass < 120), axis=1)
    return fill(histograms.met(), events.MET.pt[chosen])


def trijet(events: Events) -> dict[str, Histogram]:
    """Query 6: pT and largest b-tag of the tri-jet with mass closest to the top's."""
    jets = objects(events.Jet, "btag")
    jets = jets[ak.num(jets) >= 3]
    three = combinations(jets, 3)
    mass = (three[0] + three[1] + three[2]).mass
    a, b, c = (ak.drop_none(jet) for jet in closest(three, mass, TOP_MASS_GEV))
    btag = a.btag
    for jet in (b, c):
        btag = ak.where(jet.btag > btag, jet.btag, btag)
    return {
        "pt": fill(histograms.trijet_pt(), (a + b + c).pt),
        "btag": fill(histograms.btag(), btag),
    }


def clean_jets(events: Events) -> Histogram:
    """Query 7: sum of pT of jets (> 30) without a lepton (> 10) within DeltaR 0.4."""
    jets, muons, electrons = (
        ak.zip({"pt": of.pt, "eta": of.eta, "phi": of.phi})
        for of in (events.Jet, events.Muon, events.Electron)
    )
    jets = selected(jets, jets.pt > 30)
    # Selected first: less is copied when the flavours are put together.
    hard = [selected(of, of.pt > 10) for of in (muons, electrons)]
    leptons = ak.concatenate(hard, axis=1)
    clean = cleaned(jets, leptons, within=0.4)
    clean = clean[ak.num(clean) > 0]
    # In float64: a sum of float32 would be one.
    total = ak.sum(ak.values_astype(clean.pt, "float64"), axis=1)
    return fill(histograms.jet_sum(), total)


def lepton_and_met(events: Events) -> Histogram:
    """Query 8: transverse mass of MET and the hardest lepton beside a Z's pair."""
    enough = events["nMuon"] + events["nElectron"] >= 3
    muons, electrons = (
        objects(of, "charge")[enough] for of in (events.Muon, events.Electron)
    )
    muons["place"] = ak.local_index(muons)
    electrons["place"] = ak.num(muons) + ak.local_index(electrons)
    flavours = (muons, electrons)
    candidates = ak.concatenate([_opposite_pairs(of) for of in flavours], axis=1)
    best = closest(candidates, "mass", Z_MASS_GEV)
    has_pair = ~ak.is_none(best)
    best = ak.drop_none(best)
    leptons = ak.concatenate([of[["pt", "phi", "place"]] for of in flavours], axis=1)
    leptons = leptons[has_pair]
    is_other = (leptons.place != best.first) & (leptons.place != best.second)
    hardest = argmax_by(selected(leptons, is_other), "pt")
    is_there = ~ak.is_none(hardest)
    met = ak.zip({"pt": events.MET.pt, "phi": events.MET.phi})
    met = met[enough][has_pair][is_there]
    masses = transverse_mass(met, ak.drop_none(hardest))
    return fill(histograms.transverse_mass(), masses)


def _opposite_pairs(leptons: ak.Array) -> ak.Array:
    """Return mass, and places of both members, of the pairs of opposite charge."""
    first, second = pairs(leptons)
    opposite = first.charge != second.charge
    first, second = first[opposite], second[opposite]
    mass = (first + second).mass
    return ak.zip({"mass": mass, "first": first.place, "second": second.place})
