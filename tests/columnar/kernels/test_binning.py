"""Bin numbers and counts by array calls against boost-histogram itself."""

import hist
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facility.columnar.kernels.binning import can_bin
from facility.columnar.kernels.filling import add_counts

EDGES = [0.0, 0.1, 0.30000000000000004, 1.0, 2.5]
FLOWS = st.fixed_dictionaries({"underflow": st.booleans(), "overflow": st.booleans()})
REGULAR = st.builds(
    lambda n, low, width, flow: hist.axis.Regular(n, low, low + width, **flow),
    st.integers(1, 40),
    st.floats(-5, 5),
    st.floats(0.1, 10),
    FLOWS,
)
VARIABLE = FLOWS.map(lambda flow: hist.axis.Variable(EDGES, **flow))
INTEGER = FLOWS.map(lambda flow: hist.axis.Integer(-2, 5, **flow))
CATEGORY = st.booleans().map(
    lambda flow: hist.axis.IntCategory([3, -1, 7], overflow=flow)
)
NUMBER = (
    st.floats(-8, 18)
    | st.sampled_from([*EDGES, np.inf, -np.inf, np.nan])
    | st.integers(-50, 150).map(lambda i: i / 10)
)
STORAGES = hist.storage.Double, hist.storage.Int64, hist.storage.Weight


def same(axes, storage, values, weight):
    found, truth = (hist.Hist(*axes, storage=storage()) for _ in range(2))
    add_counts(found, values, weight)
    truth.fill(*values, weight=weight)
    return found == truth


@given(REGULAR | VARIABLE, st.lists(NUMBER, max_size=30), st.sampled_from(STORAGES))
def test_numbers_fall_into_the_same_bins(axis, values, storage):
    values = np.array([*values, *axis.edges], float)
    assert can_bin(axis, values)
    assert same([axis], storage, (values,), None)


@given(INTEGER | CATEGORY, st.lists(st.integers(-9, 9), max_size=30))
def test_integers_fall_into_the_same_bins(axis, values):
    values = np.array(values, np.int32)
    assert can_bin(axis, values)
    assert same([axis], hist.storage.Int64, (values,), None)


@given(st.lists(st.tuples(NUMBER, st.integers(-3, 6), st.floats(-3, 3)), max_size=30))
def test_weights_and_several_axes_add_up_to_the_same_bits(rows):
    x, number, weight = np.array(rows, float).reshape(-1, 3).T
    axes = [
        hist.axis.Regular(7, -1, 2),
        hist.axis.Integer(0, 4),
        hist.axis.StrCategory(["ee", "mm"]),
    ]
    values = (x, number.astype(int), "mm")
    assert all(map(can_bin, axes, values))
    assert same(axes, hist.storage.Weight, values, weight)
    assert same(axes, hist.storage.Double, values, weight)
    assert same(axes, hist.storage.Weight, values, 0.5)


def test_single_precision_values_are_compared_as_doubles():
    values = np.array([0.1, 0.3, 2.5], np.float32)
    for axis in (hist.axis.Variable(EDGES), hist.axis.Regular(10, 0, 1)):
        assert same([axis], hist.storage.Int64, (values,), None)


@pytest.mark.parametrize(
    ("axis", "values"),
    [
        (hist.axis.Regular(3, 1, 10, transform=hist.axis.transform.log), 1.0),
        (hist.axis.Regular(3, 1, 10, circular=True), 1.0),
        (hist.axis.Regular(3, 1, 10, growth=True), 1.0),
        (hist.axis.Integer(1, 10), 1.0),
        (hist.axis.Boolean(), True),
        (hist.axis.StrCategory(["ee"]), "mm"),
    ],
)
def test_what_is_left_to_boost_histogram(axis, values):
    given = values if isinstance(values, str) else np.array([values])
    assert not can_bin(axis, given)


def test_integers_take_no_weights():
    histogram = hist.Hist(hist.axis.Regular(3, 0, 1), storage=hist.storage.Int64())
    with pytest.raises(TypeError, match="Double or Weight"):
        add_counts(histogram, (np.array([0.5]),), 2.0)
