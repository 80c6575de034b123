"""Pairs, triplets and products against itertools."""

import itertools

import awkward as ak
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facility.columnar.kernels import combinations, cross, four_vectors, pairs

EVENTS = st.lists(st.lists(st.integers(0, 9), max_size=5), max_size=5)


def jagged(events):
    return ak.values_astype(ak.Array([*events, [0]])[:-1], "int64")


@given(EVENTS, st.integers(2, 4))
def test_sets_are_those_of_itertools(events, count):
    members = combinations(jagged(events), count)
    truth = [list(itertools.combinations(event, count)) for event in events]
    for position, found in enumerate(members):
        assert found.to_list() == [[c[position] for c in sets] for sets in truth]


@given(EVENTS, EVENTS)
def test_products_are_those_of_itertools(first, second):
    length = min(len(first), len(second))
    first, second = first[:length], second[:length]
    left, right = cross(jagged(first), jagged(second))
    truth = [list(itertools.product(*e)) for e in zip(first, second, strict=True)]
    assert left.to_list() == [[a for a, _ in sets] for sets in truth]
    assert right.to_list() == [[b for _, b in sets] for sets in truth]


def test_members_of_pairs_keep_their_fields_and_can_be_added():
    pt = ak.Array([[30.0, 20.0, 10.0], [5.0]])
    muons = four_vectors(
        pt=pt, eta=0.0, phi=0.0, mass=0.0, charge=ak.Array([[1, -1, 1], [1]])
    )
    first, second = pairs(muons)
    assert (first.charge != second.charge).to_list() == [[True, False, True], []]
    assert (first + second).pt.to_list() == [pytest.approx([50, 40, 30]), []]
