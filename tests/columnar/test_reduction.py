"""The sum of partial results does not depend on who finished first, or who added."""

import hist
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facility.columnar import AnalysisError
from facility.columnar.reduction import RUN, OrderedSum, add, added, runs


@given(st.data())
def test_the_sum_is_the_same_bits_for_every_order_of_arrival_and_place(data):
    """Each run comes as one, or chunk by chunk; the law is written out below."""
    values = data.draw(
        st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=3 * RUN + 1)
    )
    arrivals = []
    for run in runs(len(values)):
        if data.draw(st.booleans()):
            arrivals.append((list(run), added(values[i] for i in run)))
        else:
            arrivals += [([i], values[i]) for i in run]
    total = OrderedSum(len(values))
    for indices, value in data.draw(st.permutations(arrivals)):
        total.put(indices, value)
    expected = None
    for start in range(0, len(values), 16):
        run = values[start]
        for value in values[start + 1 : start + 16]:
            run = run + value
        expected = run if expected is None else expected + run
    assert np.float64(total.total()).tobytes() == np.float64(expected).tobytes()


@pytest.mark.parametrize(
    ("chunks", "lengths"),
    [(0, []), (1, [1]), (16, [16]), (17, [16, 1]), (32, [16] * 2)],
)
def test_runs_are_consecutive_and_whole(chunks, lengths):
    cut = list(runs(chunks))
    assert [len(run) for run in cut] == lengths
    assert [i for run in cut for i in run] == list(range(chunks))


@pytest.mark.parametrize(
    "again", [[0], [2], [16], [*range(16, 20)], [*range(16)]], ids=str
)
def test_a_chunk_cannot_be_counted_twice(again):
    total = OrderedSum(20)
    total.put([0], 1)
    total.put([2], 1)
    total.put(range(16, 20), 4)
    with pytest.raises(ValueError, match=r"counted already|no run that is missing"):
        total.put(again, 1)


@pytest.mark.parametrize("wrong", [[0, 1], [1, 0], [*range(15)], [*range(1, 17)]])
def test_chunks_that_are_no_run_are_refused(wrong):
    with pytest.raises(ValueError, match="no run that is missing"):
        OrderedSum(20).put(wrong, 1)


@pytest.mark.parametrize(
    ("given", "counted"), [([0, 2], 0), ([*range(16), 17], 16), ([*range(16, 20)], 0)]
)
def test_a_missing_chunk_is_noticed(given, counted):
    total = OrderedSum(20)
    for index in given:
        total.put([index], 1)
    with pytest.raises(ValueError, match=f"^{counted} of 20 chunks"):
        total.total()


def test_skipped_chunks_change_nothing():
    total = OrderedSum(18)
    for index in range(18):
        total.put([index], 1 if index in (3, 17) else None)
    assert total.total() == 2
    nothing = OrderedSum(2)
    nothing.put([0, 1], None)
    assert nothing.total() is None


def test_structures_are_added_part_by_part():
    h = hist.Hist.new.Reg(2, 0, 2).Int64().fill([0.5])
    left = {"h": h, "n": 1, "pair": (1, [2.0])}
    right = {"h": h, "n": 2, "pair": (3, [4.0]), "new": 5}
    assert add(left, right) == {"h": h + h, "n": 3, "pair": (4, [6.0]), "new": 5}


@pytest.mark.parametrize(
    ("left", "right", "message"),
    [
        (object(), 1, "cannot be added"),
        ((1, 2), (1,), "2 and 1 results"),
        (1, "a", "cannot be added"),
    ],
)
def test_what_cannot_be_added_is_one_clear_line(left, right, message):
    with pytest.raises(AnalysisError, match=message) as caught:
        add(left, right)
    assert "\n" not in str(caught.value)
