"""Objects as other experiments store them: other coordinates, names and units."""

from __future__ import annotations

import hist
import numpy as np
import pytest

from facility.columnar.columns import Column
from facility.columnar.fused import kernel
from tests.columnar.fused.made_events import assert_same_bits, events_of

RANDOM = np.random.default_rng(3)
OFFSETS = np.array([0, 2, 2, 5, 6], np.int64)


def jagged(low, high):
    return Column(RANDOM.uniform(low, high, 6).astype("f4"), OFFSETS)


def flat(low, high):
    return Column(RANDOM.uniform(low, high, 4))


PHYSLITE = {
    **{
        f"AnalysisJetsAuxDyn.{name}": jagged(low, high)
        for name, low, high in (
            ("pt", 1e4, 1e5),
            ("eta", -2, 2),
            ("phi", -3, 3),
            ("m", 0, 1e4),
        )
    },
    **{
        f"AnalysisMuonsAuxDyn.{name}": jagged(low, high)
        for name, low, high in (("pt", 1e4, 1e5), ("eta", -2, 2), ("phi", -3, 3))
    },
}
LHCB = {
    **{f"B_{name}": flat(-9e3, 9e3) for name in ("PX", "PY", "PZ")},
    "B_PE": flat(2e4, 3e4),
    **{f"mu_{name}": flat(-9e3, 9e3) for name in ("PX", "PY", "PZ")},
    "mu_M": flat(105, 106),
    "nTracks": Column(np.array([3, 9, 2, 5], np.int32)),
}


def masses():
    return hist.Hist.new.StrCat(["a", "b", "c", "d", "e", "f"]).Weight()


@kernel(h=masses())
def physlite(event, h):
    for jet in event.Jet:
        h.fill("a", weight=jet.mass + jet.m)
        h.fill("b", weight=jet.energy)
    for a, b in event.Muon.pairs():
        h.fill("c", weight=(a + b).mass)
    h.fill("d", weight=len(event.Muon))


@kernel(h=masses())
def lhcb(event, h):
    h.fill("a", weight=event.B.pt)
    h.fill("b", weight=event.B.eta - event.mu.phi)
    h.fill("c", weight=event.B.mass)
    h.fill("d", weight=event.mu.energy)
    h.fill("e", weight=(event.B + event.mu).mass)
    h.fill("f", weight=event.nTracks)


@pytest.mark.parametrize(
    ("analysis", "columns"), [(physlite, PHYSLITE), (lhcb, LHCB)], ids=["atlas", "lhcb"]
)
def test_other_experiments(analysis, columns):
    events = events_of(columns)
    got = analysis(events)
    assert_same_bits(got, analysis.python(events))
    assert (got.values() != 0).sum() >= 4
    assert np.isfinite(got.values()).all()


def test_objects_without_a_counter_are_counted_by_a_field():
    events = events_of({k: PHYSLITE[k] for k in PHYSLITE if "Muons" in k})

    @kernel(h=hist.Hist.new.Reg(5, 0, 5).Int64())
    def count(event, h):
        h.fill(len(event.Muon))

    assert count(events).values().tolist() == [1, 1, 1, 1, 0]
