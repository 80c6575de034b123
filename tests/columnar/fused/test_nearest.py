"""The nearest so far: turned away on the square, taken as it is written."""

from __future__ import annotations

import math

import hist
from hypothesis import given, settings
from hypothesis import strategies as st

from facility.columnar.fused import kernel
from facility.columnar.fused.arithmetic import near_middle, near_width
from facility.columnar.fused.fourvectors import root
from tests.columnar.fused.made_events import assert_same_bits, made_events

FINITE = st.floats(allow_nan=False, allow_infinity=False)


def masses():
    return hist.Hist.new.Reg(50, 0, 200).Weight()


@kernel(put_off=masses(), at_once=masses(), kept=masses(), negative=masses())
def nearest(event, put_off, at_once, kept, negative):
    smallest = math.inf
    for a, b in event.Jet.pairs():
        distance = abs((a + b).mass - 50)
        if distance < smallest:
            smallest = distance
            first, second = a, b
    if smallest < math.inf:
        put_off.fill((first + second).mass, weight=smallest)

    start = event.x
    for a in event.Jet:
        if start > abs(20.5 - (a + a).pt):
            start = abs(20.5 - (a + a).pt)
        elif a.tight:
            start += 1.5
        at_once.fill(a.pt, weight=start)

    last = 0.0
    closest = 3.0
    for a in event.Muon:
        for b in event.Jet:
            last = abs(a.delta_r(b) - 0.4)
            if last < closest:
                closest = last + 0.0
        kept.fill(a.pt, weight=last + closest)

    lowest = 30.0
    for a, b in event.Muon.pairs():
        below = abs((a + b).mass - -10.0)
        if below < lowest and a.charge != b.charge:
            lowest = below
    negative.fill(1, weight=lowest)


@settings(max_examples=40)
@given(events=made_events())
def test_the_same_bits_as_in_python(events):
    assert_same_bits(nearest(events), nearest.python(events))


@given(events=made_events(most=1))
@settings(max_examples=1)
def test_the_root_is_not_computed_before_the_comparison(events):
    lines = [line.strip() for line in nearest.source(events).splitlines()]
    (test,) = (line for line in lines if "< smallest)" in line)
    assert test.startswith("if (abs(squared_ - smallest__middle_0) <= ")
    before = lines[: lines.index(test)]
    assert not any("root(squared_)" in line for line in before)


def passes(squared, target, distance):
    width = near_width(target, distance)
    return abs(squared - near_middle(target, distance)) <= width


@given(target=FINITE, distance=st.floats(), squared=st.floats())
def test_no_nearer_one_is_turned_away(target, distance, squared):
    is_nearer = abs(root(squared) - target) < distance
    assert passes(squared, target, distance) or not is_nearer


@given(
    target=st.floats(1e-200, 1e200),
    share=st.floats(0, 1),
    sign=st.sampled_from([-1, 1]),
    steps=st.integers(-20, 20),
)
def test_no_nearer_one_is_turned_away_at_the_edge(target, share, sign, steps):
    distance = share * target
    squared = (target + sign * distance) ** 2 if target < 1e150 else math.inf
    squared *= 1 + steps * 2**-53
    is_nearer = abs(root(squared) - target) < distance
    assert passes(squared, target, distance) or not is_nearer


def test_most_that_are_farther_are_turned_away():
    assert passes(90.0**2, 91.0, 2.0)
    assert not passes(94.0**2, 91.0, 2.0)
    assert not passes(88.0**2, 91.0, 2.0)
    assert not passes(-1.0, 91.0, 2.0)
