"""Four events whose answers fit on a sheet of paper: the loop, and both styles."""

from __future__ import annotations

import math

import numpy as np
import pytest

from facility.columnar.adl.queries import Style
from tests.columnar.adl import event_loop
from tests.columnar.adl.made_up import write

TURN = 2 * math.pi / 3


def particle(pt, phi, eta=0.0, **more):
    values = {"pt": pt, "eta": eta, "phi": phi, "mass": 0.0, **more}
    return {name: float(np.float32(value)) for name, value in values.items()}


def event(met, jets=(), muons=(), electrons=()):
    return {
        "MET_pt": met,
        "MET_phi": 0.0,
        "Jet": list(jets),
        "Muon": list(muons),
        "Electron": list(electrons),
    }


EVENTS = [
    event(30.0),
    # A pair of 90 GeV; sqrt(2 x 25 x 30 x (1 - cos 90 deg)) = 38.7 with the electron,
    # which is harder than the third muon. Another pair has 2 x 10 GeV.
    event(
        25.0,
        muons=[
            particle(45, 0, charge=1),
            particle(45, math.pi, charge=-1),
            particle(10, 0, charge=-1),
        ],
        electrons=[particle(30, math.pi / 2, charge=1)],
    ),
    # Three jets add up to 200.3 GeV of energy and 20.3 of momentum: 199.3 GeV of mass.
    # With the fourth, all are further away: 137, 130 or 112 GeV. One jet of 60 has an
    # electron of 15 GeV in it, another only one of 5 GeV: 60 + 80.3 are left.
    event(
        1999.0,
        jets=[
            particle(80.3, -TURN, btag=0.205),
            particle(60, 0, btag=0.905),
            particle(60, TURN, btag=0.405, eta=0.0),
            particle(10, 0, btag=0.995),
        ],
        electrons=[
            particle(15, TURN - 0.1, eta=0.3, charge=1),
            particle(5, 0.1, charge=1),
        ],
    ),
    # A muon beside a jet, across phi = pi; equal charges; eta of 1 is not below 1.
    event(
        2000.0,
        jets=[particle(41, 3.1, btag=0, eta=1.0), particle(39, 1, btag=0, eta=-0.9)],
        muons=[
            particle(30.5, -3.1, eta=1.0, charge=1),
            particle(30.5, 0.0, eta=1.0, charge=1),
            particle(30.5, 1.6, eta=1.0, charge=1),
        ],
    ),
]
EXPECTED = {
    "1": {1: 2, 99: 1},
    "2": {57: 1, 53: 1},
    "3": {53: 1},
    "4": {99: 1},
    "5": {1: 1},
    "6a": {21: 1},
    "6b": {90: 1},
    # 140.3 and 39 GeV.
    "7": {67: 1, 12: 1},
    "8": {10: 1},
}


def filled(counts):
    return {
        name: {i: count for i, count in enumerate(bins) if count}
        for name, bins in counts.items()
    }


def test_the_loop_finds_what_paper_says():
    assert filled(event_loop.histograms(EVENTS)) == EXPECTED


@pytest.mark.parametrize("style", list(Style))
def test_queries_find_what_paper_says(tmp_path, asked, style):
    assert filled(asked(write(tmp_path / "paper.root", EVENTS), style)) == EXPECTED
