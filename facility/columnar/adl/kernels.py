"""The eight queries as loops over one event: see :mod:`facility.columnar.fused`.

Of equals the first wins, and what is NaN is never near, between or larger.
"""

from __future__ import annotations

import math
from itertools import chain
from typing import Any

from facility.columnar.adl import histograms
from facility.columnar.fused import kernel

TOP_MASS_GEV = 172.5
Z_MASS_GEV = 91.2


@kernel(met=histograms.met())
def missing_momentum(event: Any, met: Any) -> None:
    """Query 1: MET of all events."""
    met.fill(event.MET.pt)


@kernel(pt=histograms.jet_pt())
def jet_momenta(event: Any, pt: Any) -> None:
    """Query 2: pT of all jets."""
    for jet in event.Jet:
        pt.fill(jet.pt)


@kernel(pt=histograms.jet_pt())
def central_jets(event: Any, pt: Any) -> None:
    """Query 3: pT of jets with abs(eta) < 1."""
    for jet in event.Jet:
        if abs(jet.eta) < 1:
            pt.fill(jet.pt)


@kernel(met=histograms.met())
def two_hard_jets(event: Any, met: Any) -> None:
    """Query 4: MET of events with at least two jets with pT > 40."""
    if sum(jet.pt > 40 for jet in event.Jet) >= 2:
        met.fill(event.MET.pt)


@kernel(met=histograms.met())
def dimuons(event: Any, met: Any) -> None:
    """Query 5: MET of events with an opposite-charge muon pair, 60 < mass < 120."""
    for a, b in event.Muon.pairs():
        if a.charge != b.charge and 60 < (a + b).mass < 120:
            met.fill(event.MET.pt)
            return


@kernel(pt=histograms.trijet_pt(), btag=histograms.btag())
def trijet(event: Any, pt: Any, btag: Any) -> None:
    """Query 6: pT and largest b-tag of the tri-jet with mass closest to the top's."""
    smallest = math.inf
    for a, b, c in event.Jet.combinations(3):
        distance = abs((a + b + c).mass - TOP_MASS_GEV)
        if distance < smallest:
            smallest = distance
            first, second, third = a, b, c
    if smallest < math.inf:
        pt.fill((first + second + third).pt)
        btag.fill(max(first.btag, second.btag, third.btag))


@kernel(sum_pt=histograms.jet_sum())
def clean_jets(event: Any, sum_pt: Any) -> None:
    """Query 7: sum of pT of jets (> 30) without a lepton (> 10) within DeltaR 0.4."""
    total = 0.0
    for jet in event.Jet:
        if jet.pt > 30 and not any(
            lepton.pt > 10 and jet.delta_r(lepton) < 0.4
            for lepton in chain(event.Muon, event.Electron)
        ):
            total += jet.pt
    if total > 0:
        sum_pt.fill(total)


@kernel(mt=histograms.transverse_mass())
def lepton_and_met(event: Any, mt: Any) -> None:
    """Query 8: transverse mass of MET and the hardest lepton beside a Z's pair."""
    if len(event.Muon) + len(event.Electron) < 3:
        return
    smallest = math.inf
    first = second = None
    for a, b in chain(event.Muon.pairs(), event.Electron.pairs()):
        if a.charge != b.charge:
            distance = abs((a + b).mass - Z_MASS_GEV)
            if distance < smallest:
                smallest = distance
                first, second = a, b
    if first is None:
        return
    highest = -math.inf
    for lepton in chain(event.Muon, event.Electron):
        if lepton.pt > highest and lepton is not first and lepton is not second:
            highest = lepton.pt
            hardest = lepton
    if highest > -math.inf:
        mt.fill(hardest.transverse_mass(event.MET))
