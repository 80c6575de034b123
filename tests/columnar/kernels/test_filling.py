"""Fills of jagged arrays, weights and variations against filling one by one."""

import awkward as ak
import hist
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facility.columnar.kernels import fill
from facility.columnar.notes import noting

NUMBER = st.floats(-2, 12) | st.just(float("nan"))
EVENTS = st.lists(
    st.tuples(st.lists(NUMBER, max_size=4), st.floats(-2, 2)), min_size=1, max_size=6
)


def regular(storage=hist.storage.Weight):
    return hist.Hist(hist.axis.Regular(5, 0, 10, name="x"), storage=storage())


@given(EVENTS)
def test_a_value_per_object_and_a_weight_per_event(events):
    counts = [len(values) for values, _ in events]
    flat = np.array([v for values, _ in events for v in values], float)
    found = fill(
        regular(), ak.unflatten(flat, counts), weight=np.array([w for _, w in events])
    )
    truth = regular()
    for values, weight in events:
        for value in values:
            truth.fill(value, weight=weight)
    assert found == truth


def test_a_value_per_event_beside_one_per_object():
    histogram = hist.Hist(
        hist.axis.Regular(2, 0, 2, name="pt"),
        hist.axis.Integer(0, 4, name="n"),
        hist.axis.StrCategory([], growth=True, name="channel"),
        storage=hist.storage.Int64(),
    )
    pt = ak.Array([[0.5, 1.5], [], [1.5]])
    fill(histogram, pt, ak.num(pt), "ee")
    assert histogram[{"channel": "ee"}].values().tolist() == [
        [0, 0, 1, 0],
        [0, 1, 1, 0],
    ]


def test_texts_are_categories():
    histogram = hist.Hist(
        hist.axis.StrCategory([], growth=True, name="channel"),
        hist.axis.Regular(2, 0, 2, name="pt"),
        storage=hist.storage.Int64(),
    )
    channel = ak.Array(["ee", "mumu", "ee"])
    fill(histogram, channel, ak.Array([0.5, 0.5, 1.5]))
    fill(histogram, channel, ak.Array([[0.5, 1.5], [], [1.5]]))
    assert list(histogram.axes[0]) == ["ee", "mumu"]
    assert histogram.values().tolist() == [[2, 3], [1, 0]]


def test_none_is_left_out_of_values_and_weights_together():
    values = ak.Array([1.0, None, 3.0, 5.0])
    found = fill(regular(), values, weight=ak.Array([1.0, 2.0, None, 4.0]))
    assert found.values().tolist() == [1, 0, 4, 0, 0]
    jagged = ak.mask(ak.Array([[1.0, 3.0], [5.0]]), [True, False])
    assert fill(regular(), jagged).values().tolist() == [1, 1, 0, 0, 0]


def test_variations_are_filled_with_the_nominal_of_what_does_not_vary():
    histogram = hist.Hist(
        hist.axis.StrCategory([], growth=True, name="variation"),
        hist.axis.Regular(2, 0, 2, name="mass"),
        storage=hist.storage.Weight(),
    )
    mass = ak.Array([[0.5], [1.5, 1.5]])
    weight = np.array([1.0, 2.0])
    fill(
        histogram,
        {"nominal": mass, "jesUp": mass + 1},
        weight={"nominal": weight, "puUp": 10 * weight},
    )
    assert list(histogram.axes["variation"]) == ["nominal", "jesUp", "puUp"]
    bins = {name: histogram[{"variation": name}] for name in histogram.axes[0]}
    assert bins["nominal"].values().tolist() == [1, 4]
    assert bins["nominal"].variances().tolist() == [1, 8]
    assert bins["jesUp"].values(flow=True).tolist() == [0, 0, 1, 4]
    assert bins["puUp"].values().tolist() == [10, 40]


def test_weights_that_are_no_numbers_are_noted():
    with noting() as notes:
        fill(regular(), ak.Array([[1.0, 3.0], [5.0]]), weight=np.array([np.nan, 1.0]))
    assert notes == {"NaN weights": 2}


def test_what_does_not_match_is_said():
    with pytest.raises(ValueError, match="2 values for 1 axes"):
        fill(regular(), [1.0], [1.0])
    with pytest.raises(ValueError, match="variations need an axis"):
        fill(
            hist.Hist.new.Reg(1, 0, 1, name="a").Reg(1, 0, 1, name="b").Double(),
            {"nominal": [1.0]},
        )
    axis = hist.axis.StrCategory([], growth=True, name="variation")
    with pytest.raises(ValueError, match="needs 'nominal'"):
        fill(hist.Hist(axis, *regular().axes), {"up": [1.0]})
