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
    jets = ak.zip({"pt": events.Jet.pt, "eta": events.Jet.eta, "phi": events.Jet.phi})
    jets = jets[jets.pt > 30]
    leptons = ak.concatenate(
        [
            ak.zip({"pt": of.pt, "eta": of.eta, "phi": of.phi})
            for of in (events.Muon, events.Electron)
        ],
        axis=1,
    )
    clean = cleaned(jets, leptons[leptons.pt > 10], within=0.4)
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
    leptons = ak.concatenate([muons, electrons], axis=1)
    leptons["place"] = ak.local_index(leptons)
    leptons["is_muon"] = leptons.place < ak.num(muons)
    first, second = pairs(leptons)
    candidate = (first.is_muon == second.is_muon) & (first.charge != second.charge)
    first, second = first[candidate], second[candidate]
    first, second = closest((first, second), (first + second).mass, Z_MASS_GEV)
    has_pair = ~ak.is_none(first)
    first, second, leptons = first[has_pair], second[has_pair], leptons[has_pair]
    others = leptons[(leptons.place != first.place) & (leptons.place != second.place)]
    met = ak.zip({"pt": events.MET.pt, "phi": events.MET.phi})[enough][has_pair]
    masses = transverse_mass(met, argmax_by(others, "pt"))
    return fill(histograms.transverse_mass(), masses)
