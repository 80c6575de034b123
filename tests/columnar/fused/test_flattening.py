"""A body that is a loop over one list is done without the events: when, and alike."""

from __future__ import annotations

import hist
import numpy as np
import pytest
from hypothesis import given, settings

from facility.columnar import Dataset
from facility.columnar.columns import Column
from facility.columnar.events import Events
from facility.columnar.fused import KernelError, kernel
from tests.columnar.fused.made_events import (
    assert_same_bits,
    events_of,
    made,
    made_events,
)
from tests.columnar.fused.test_errors import body


def axis():
    return hist.Hist.new.Reg(20, 0, 100, name="x")


def of(text: str):
    return kernel(h=axis().Weight())(body(text))


FLAT = {
    "all": "for jet in event.Jet:\n    h.fill(jet.pt)",
    "some": "for jet in event.Jet:\n    if abs(jet.eta) < 1:\n        h.fill(jet.pt)",
    "weights": "for jet in event.Jet:\n    h.fill(jet.pt, weight=jet.btag)",
    "four-momenta": "for muon in event.Muon:\n    h.fill(muon.energy, weight=muon.pz)",
    "a variable of the turn": (
        "for jet in event.Jet:\n"
        "    pt = jet.pt\n"
        "    if pt > 30:\n"
        "        pt = pt - 30\n"
        "        h.fill(pt)"
    ),
    "the next turn": (
        "for jet in event.Jet:\n"
        "    if jet.tight:\n"
        "        continue\n"
        "    for power in (1, 2):\n"
        "        h.fill(jet.pt / power, weight=power)"
    ),
    "numbers": "for scale in event.scales:\n    h.fill(50 * scale, weight=scale)",
    "how many": "for _ in event.Jet:\n    h.fill(3)",
    "by name": "for jet in event['Jet']:\n    h.fill(jet.pt)",
}

NOT_FLAT = {
    "a weight of the event": "for j in event.Jet:\n    h.fill(j.pt, weight=event.weight)",
    "a cut of the event": (
        "for j in event.Jet:\n    if j.pt > event.MET.pt:\n        h.fill(j.pt)"
    ),
    "the number of objects": (
        "for j in event.Jet:\n    if len(event.Jet) > 1:\n        h.fill(j.pt)"
    ),
    "another collection": (
        "for j in event.Jet:\n    for m in event.Muon:\n        h.fill(j.pt - m.pt)"
    ),
    "an earlier turn": (
        "for j in event.Jet:\n    if j.pt > 30:\n        last = j.pt\n"
        "    if j.pt > 30:\n        h.fill(last)"
    ),
    "before it": "n = 1\nfor j in event.Jet:\n    n += 1\n    h.fill(n * j.pt)",
    "after it": "for j in event.Jet:\n    h.fill(j.pt)\nh.fill(1)",
    "the first ones": (
        "for j in event.Jet:\n    if j.pt > 30:\n        break\n    h.fill(j.pt)"
    ),
    "all at once": (
        "for j in event.Jet:\n    if j.pt > 30:\n        return\n    h.fill(j.pt)"
    ),
    "counted": "for i, j in enumerate(event.Jet):\n    h.fill(j.pt * i)",
    "pairs": "for a, b in event.Jet.pairs():\n    h.fill(a.pt - b.pt)",
}


@kernel(
    pt=axis().Weight(), eta=hist.Hist.new.Reg(9, -3, 3).Int64(), both=axis().Double()
)
def several(event, pt, eta, both):
    for jet in event.Jet:
        both.fill(jet.pt)
        if jet.pt > 20:
            pt.fill(jet.pt, weight=jet.btag)
            eta.fill(jet.eta)


@pytest.mark.parametrize("text", FLAT.values(), ids=FLAT.keys())
@settings(max_examples=15)
@given(events=made_events())
def test_it_gives_the_bits_of_plain_python(text, events):
    analysis = of(text)
    assert analysis.program(events).is_flat
    assert "__offsets" not in analysis.source(events)
    assert_same_bits(analysis(events), analysis.python(events))


@pytest.mark.parametrize("text", NOT_FLAT.values(), ids=NOT_FLAT.keys())
def test_what_is_more_than_that_is_done_event_by_event(text):
    events = made(7, 60)
    analysis = of(text)
    assert not analysis.program(events).is_flat
    assert "__offsets[at]" in analysis.source(events)


@settings(max_examples=15)
@given(events=made_events())
def test_several_histograms(events):
    assert several.program(events).is_flat
    assert_same_bits(several(events), several.python(events))


def test_events_without_objects():
    events = made(1, 40, mean=0.0)
    assert len(events.plain(["Jet_pt"])["Jet_pt"].content) == 0
    assert_same_bits(several(events), several.python(events))


def test_a_failure_names_the_event():
    analysis = of("for jet in event.Jet:\n    h.fill(int(jet.pt))")
    pt = Column(np.array([1.0, 2.0, np.nan, 3.0]), np.array([0, 2, 2, 2, 4]))
    events = events_of({"Jet_pt": pt, "Jet_eta": pt})
    assert analysis.program(events).is_flat
    with pytest.raises(KernelError, match=r"int\(jet\.pt\).*\(entry 3 of made-up"):
        analysis(events)


def test_lists_that_nobody_counts_must_be_equally_long():
    analysis = of("for jet in event.Jet:\n    h.fill(jet.pt, weight=jet.eta)")
    content = np.array([1.0, 2.0, 3.0])
    one, same, other = (np.array(x) for x in ([0, 1, 3], [0, 1, 3], [0, 2, 3]))
    pt = Column(content, one)
    events = events_of({"Jet_pt": pt, "Jet_eta": Column(content, same)})
    assert analysis.program(events).is_flat
    assert_same_bits(analysis(events), analysis.python(events))
    # As long in all, not in every event.
    events = events_of({"Jet_pt": pt, "Jet_eta": Column(content, other)})
    with pytest.raises(KernelError, match="Jet_pt and Jet_eta are not equally long"):
        analysis(events)


@pytest.mark.parametrize("step", [1, 7, 64, 1000])
def test_chunks_end_anywhere(ttree, step):
    analysis = of("for m in event.Muon:\n    h.fill(m.pt, weight=m.eta)")
    file = Dataset(ttree)._first
    assert analysis.program(Events(file, 0, 1)).is_flat
    for start in range(0, min(file.entries, 20 * step), step):
        events = Events(file, start, min(start + step, file.entries))
        assert_same_bits(analysis(events), analysis.python(events))
