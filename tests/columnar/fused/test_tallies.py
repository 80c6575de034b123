"""Objects that are counted before the events: when, and alike."""

from __future__ import annotations

import hist
import numpy as np
import pytest
from hypothesis import given, settings

from facility.columnar.columns import Column
from facility.columnar.fused import kernel
from tests.columnar.fused.made_events import (
    assert_same_bits,
    events_of,
    made,
    made_events,
)
from tests.columnar.fused.test_errors import body


def of(text: str, storage: str = "Int64"):
    template = getattr(hist.Hist.new.Reg(20, 0, 100, name="x"), storage)()
    return kernel(h=template)(body(text))


TALLIED = {
    "how many": (
        "if sum(j.pt > 40 for j in event.Jet) >= 2:\n    h.fill(event.MET.pt)"
    ),
    "how many of some": (
        "h.fill(10 * sum(1 for j in event.Jet if j.pt > 20 if abs(j.eta) < 2))"
    ),
    "a sum of whole numbers": "h.fill(sum(m.charge for m in event.Muon))",
    "any": "if any(m.tight for m in event.Muon):\n    h.fill(event.x)",
    "any of none": "if any(m.pt > 1e9 for m in event.Muon):\n    h.fill(event.x)",
    "all": "if all(m.pt > 20 for m in event.Muon):\n    h.fill(event.x)",
    "four-momenta": "if any(m.px > 20 for m in event.Muon):\n    h.fill(event.x)",
    "two collections": (
        "if any(m.pt > 20 for m in event.Muon) and not any(\n"
        "    e.pt > 20 for e in event.Electron\n"
        "):\n"
        "    h.fill(10 * sum(j.pt > 30 for j in event.Jet))"
    ),
    "of a distance": (
        "if any(abs(m.mass - 10) < 3 and m.pt > 3 for m in event.Muon):\n"
        "    h.fill(event.MET.pt)"
    ),
}

NOT_TALLIED = {
    "a sum of other numbers": "h.fill(sum(j.pt for j in event.Jet))",
    "something of the event": (
        "if any(j.pt > event.MET.pt for j in event.Jet):\n    h.fill(event.x)"
    ),
    "a variable": (
        "least = event.MET.pt\n"
        "if any(j.pt > least for j in event.Jet):\n    h.fill(event.x)"
    ),
    "another object": (
        "if any(j.delta_r(m) < 1 for j in event.Jet for m in event.Muon):\n"
        "    h.fill(event.x)"
    ),
    "pairs": (
        "if any(a.pt > b.pt for a, b in event.Jet.pairs()):\n    h.fill(event.x)"
    ),
    "what may fail": (
        "if sum(int(j.btag) for j in event.Jet) > 0:\n    h.fill(event.x)"
    ),
    "a loop beside it": (
        "n = 0\nfor j in event.Jet:\n    n += 1\n"
        "if any(j.pt > 30 for j in event.Jet):\n    h.fill(n)"
    ),
}


@pytest.mark.parametrize("text", TALLIED.values(), ids=TALLIED.keys())
@settings(max_examples=15)
@given(events=made_events(most=30))
def test_it_gives_the_bits_of_plain_python(text, events):
    analysis = of(text)
    program = analysis.program(events)
    assert program.tallies
    assert "for turn" not in analysis.source(events)
    assert_same_bits(analysis(events), analysis.python(events))


@pytest.mark.parametrize("text", NOT_TALLIED.values(), ids=NOT_TALLIED.keys())
def test_what_is_more_than_that_is_a_loop(text):
    events = made(7, 60)
    analysis = of(text)
    assert not analysis.program(events).tallies
    assert "for turn_" in analysis.source(events)


def test_weights_are_not_forgotten():
    events = made(7, 60)
    analysis = of(
        "if any(j.pt > 30 for j in event.Jet):\n    h.fill(event.x, weight=2.5)",
        "Weight",
    )
    assert not analysis.program(events).tallies
    assert_same_bits(analysis(events), analysis.python(events))


def test_blocks_of_many_events():
    analysis = of(TALLIED["two collections"])
    events = made(3, 5000, mean=3.0)
    assert analysis.program(events).tallies
    assert_same_bits(analysis(events), analysis.python(events))


def test_sums_wrap_round_as_integers_do():
    large = np.array([2**62, 2**62, 2**62, -5, 7], np.int64)
    column = Column(large, np.array([0, 3, 4, 5]))
    events = events_of({"Hit_id": column, "Hit_rank": column})
    analysis = of("h.fill(sum(hit.id for hit in event.Hit) % 90)")
    assert analysis.program(events).tallies
    assert_same_bits(analysis(events), analysis.python(events))
