"""What variables hold where ways through the body meet."""

from __future__ import annotations

import hist
import pytest
from hypothesis import given, settings

from facility.columnar.fused import KernelError, kernel
from tests.columnar.fused.made_events import assert_same_bits, made, made_events


def words():
    return hist.Hist.new.StrCat(["low", "high", "both"], name="what").Weight()


@kernel(h=words())
def tuples(event, h):
    best = None
    for a, b in event.Jet.pairs():
        if best is None or (a + b).pt > (best[0] + best[1]).pt:
            best = a, b
    if best is not None:
        first, second = best
        h.fill("low", weight=(first + second).mass)

    nearest = None
    for pair in event.Muon.pairs():
        if nearest is None or pair[0].delta_r(pair[1]) < nearest[1]:
            nearest = pair, pair[0].delta_r(pair[1])
    if nearest is not None:
        h.fill("high", weight=nearest[1] + nearest[0][0].pt)

    turned = event.x, event.weight
    for _ in event.Electron:
        turned = turned[1], turned[0]
    h.fill("both", weight=turned[0])

    one = other = None
    for a, b in event.Electron.pairs():
        if one is None or a.pt > one.pt:
            one, other = b, a
    if one is not None and other is not None:
        h.fill("both", weight=one.pt - other.pt)


@settings(max_examples=30)
@given(events=made_events())
def test_tuples_are_kept_and_taken_apart(events):
    assert_same_bits(tuples(events), tuples.python(events))


def text_by_loop(event, h):
    what = "low"
    for jet in event.Jet:
        if jet.pt > 40:
            what = "high"
    h.fill(what)


def text_by_choice(event, h):
    what = None
    if event.x > 0:
        what = "low"
    if event.x > 1:
        what = "high"
    if event.x > 2:
        what = "low"
    if what is not None:
        h.fill(what)


def collection(event, h):
    objects = event.Jet
    for _ in event.Muon:
        objects = event.Muon
    h.fill("low", weight=len(objects))


def item_without_value(event, h):
    best = None, 1e9
    for jet in event.Jet:
        if jet.pt < best[1]:
            best = jet, jet.pt
    if best[0] is not None:
        h.fill("low", weight=best[0].pt)


def number_or_text(event, h):
    what = "low"
    for jet in event.Jet:
        what = jet.pt
    h.fill(what)


def of_two_lengths(event, h):
    best = event.x, event.x
    if event.good:
        best = event.x, event.x, event.x
    h.fill("low", weight=best[0])


@pytest.mark.parametrize(
    "body",
    [
        text_by_loop,
        text_by_choice,
        collection,
        item_without_value,
        number_or_text,
        of_two_lengths,
    ],
)
def test_what_only_the_compiler_knows_does_not_depend_on_events(body):
    compiled = kernel(h=words())(body)
    with pytest.raises(KernelError, match=r"(what|objects|best) is here depends on"):
        compiled.program(made(1, 1))


def test_a_tuple_is_asked_whether_it_is_there():
    @kernel(h=words())
    def asked(event, h):
        best = None
        for pair in event.Jet.pairs():
            best = pair
        if best:
            h.fill("low", weight=best[0].pt)

    with pytest.raises(KernelError, match="write `is not None`"):
        asked.program(made(1, 1))
