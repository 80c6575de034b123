"""Matching and cleaning against loops over all pairs."""

import math

import awkward as ak
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from facility.columnar.kernels import cleaned, four_vectors, is_near, nearest

# Few values: ties, equal directions and the wrap are frequent.
ETA = st.sampled_from([-1.0, 0.0, 0.25, 0.5, 1.0, math.nan])
PHI = st.sampled_from([-3.125, -0.25, 0.0, 0.25, 3.0, 3.125])
SIDE = st.lists(st.tuples(ETA, PHI), max_size=4)
EVENTS = st.lists(st.tuples(SIDE, SIDE), min_size=1, max_size=12)


def jagged(events):
    counts = [len(event) for event in events]
    values = np.array([o for e in events for o in e], np.float32).reshape(-1, 2)
    eta, phi = (ak.unflatten(column, counts) for column in values.T)
    index = ak.local_index(eta)
    return four_vectors(pt=1.0, eta=eta, phi=phi, mass=0.0, index=index)


def distance(one, other):
    around = math.remainder(one[1] - other[1], math.tau)
    return math.sqrt((one[0] - other[0]) ** 2 + around**2)


def best(one, others, within):
    chosen, smallest = None, within
    for index, other in enumerate(others):
        if distance(one, other) < smallest:
            chosen, smallest = index, distance(one, other)
    return chosen


@settings(max_examples=30)
@given(EVENTS, st.sampled_from([0.25, 0.5, 2.0]))
def test_near_ones_are_those_of_a_loop(events, within):
    objects, others = (jagged([event[side] for event in events]) for side in (0, 1))
    truth = [
        [any(distance(one, other) < within for other in right) for one in left]
        for left, right in events
    ]
    assert is_near(objects, others, within).to_list() == truth
    kept = [[i for i, near in enumerate(event) if not near] for event in truth]
    assert cleaned(objects, others, within).index.to_list() == kept


@settings(max_examples=30)
@given(EVENTS, st.sampled_from([0.25, 0.5, math.inf]))
def test_the_nearest_is_that_of_a_loop(events, within):
    objects, others = (jagged([event[side] for event in events]) for side in (0, 1))
    truth = [[best(one, right, within) for one in left] for left, right in events]
    assert nearest(objects, others, within).index.to_list() == truth


def test_directions_on_both_sides_of_the_wrap_are_near():
    one, other = jagged([[(0.0, 3.125)]]), jagged([[(0.0, -3.125)]])
    assert is_near(one, other, 0.04).to_list() == [[True]]
    assert is_near(one, other, 0.03).to_list() == [[False]]
