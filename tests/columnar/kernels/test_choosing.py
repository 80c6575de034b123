"""Choices by a key against a loop that keeps the best."""

import math

import awkward as ak
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facility.columnar.kernels import argmax_by, argmin_by, closest

KEY = st.sampled_from([-math.inf, -2.0, 0.0, 1.0, 2.0, 7.5, math.inf, math.nan])
EVENTS = st.lists(st.lists(KEY, max_size=5), min_size=1, max_size=6)


def best(keys):
    """Return the index of the smallest key, by a loop."""
    chosen, smallest = None, math.inf
    for index, key in enumerate(keys):
        if key < smallest:
            chosen, smallest = index, key
    return chosen


def jagged(events):
    counts = [len(event) for event in events]
    keys = ak.unflatten(np.array([k for e in events for k in e], float), counts)
    return ak.zip({"key": keys, "index": ak.local_index(keys)})


@given(EVENTS)
def test_the_smallest_is_that_of_a_loop(events):
    objects = jagged(events)
    truth = [best(event) for event in events]
    assert argmin_by(objects, "key").index.to_list() == truth
    assert argmin_by(objects.index, objects.key).to_list() == truth


@given(EVENTS)
def test_the_largest_is_that_of_a_loop(events):
    truth = [best([-key for key in event]) for event in events]
    assert argmax_by(jagged(events), "key").index.to_list() == truth


@given(EVENTS, st.sampled_from([0.0, 1.5, 7.5]))
def test_the_closest_is_that_of_a_loop(events, target):
    objects = jagged(events)
    truth = [best([abs(key - target) for key in event]) for event in events]
    one, same = closest((objects.index, objects.key), objects.key, target)
    assert one.to_list() == truth
    assert ak.is_none(same).to_list() == [index is None for index in truth]


def test_unsigned_keys_are_compared_as_numbers():
    keys = ak.values_astype(ak.Array([[3, 200, 7]]), np.uint8)
    assert argmax_by(keys, keys).to_list() == [200]
    assert closest(keys, keys, 5).to_list() == [3]


@pytest.mark.parametrize("target", [[1.0, 10.0], [10.0, 1.0]])
def test_the_target_may_differ_by_event(target):
    keys = ak.Array([[1.0, 10.0], [1.0, 10.0]])
    assert closest(keys, keys, ak.Array(target)).to_list() == target


def test_events_without_a_list_have_no_object():
    objects = ak.mask(jagged([[3.0, 1.0], [2.0], []]), [True, False, True])
    assert argmin_by(objects, "key").index.to_list() == [1, None, None]


def test_a_key_per_object_is_expected():
    with pytest.raises(ValueError, match="expected a key per object"):
        argmin_by(ak.Array([[1, 2], [3]]), ak.Array([[1.0], [2.0, 3.0]]))
