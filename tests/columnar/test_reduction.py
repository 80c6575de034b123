"""The sum of partial results does not depend on who finished first."""

import hist
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facility.columnar import AnalysisError
from facility.columnar.reduction import OrderedSum, add


@given(st.data())
def test_the_sum_is_the_same_bits_for_every_order_of_arrival(data):
    values = data.draw(
        st.lists(st.floats(-1e300, 1e300, allow_nan=False), min_size=1, max_size=20)
    )
    order = data.draw(st.permutations(range(len(values))))
    total = OrderedSum()
    for index in order:
        total.put(index, values[index])
    expected = values[0]
    for value in values[1:]:
        expected = expected + value
    assert np.float64(total.total(len(values))).tobytes() == (
        np.float64(expected).tobytes()
    )


def test_a_chunk_cannot_be_counted_twice():
    total = OrderedSum()
    total.put(0, 1)
    total.put(2, 1)
    for index in (0, 2):
        with pytest.raises(ValueError, match="counted already"):
            total.put(index, 1)


def test_a_missing_chunk_is_noticed():
    total = OrderedSum()
    total.put(0, 1)
    total.put(2, 1)
    with pytest.raises(ValueError, match="1 of 3 chunks"):
        total.total(3)


def test_structures_are_added_part_by_part():
    h = hist.Hist.new.Reg(2, 0, 2).Int64().fill([0.5])
    left = {"h": h, "n": 1, "pair": (1, [2.0])}
    right = {"h": h, "n": 2, "pair": (3, [4.0]), "new": 5}
    assert add(left, right) == {"h": h + h, "n": 3, "pair": (4, [6.0]), "new": 5}


@pytest.mark.parametrize(
    ("left", "right", "message"),
    [
        (None, 1, "cannot be added"),
        ((1, 2), (1,), "2 and 1 results"),
        (1, "a", "cannot be added"),
    ],
)
def test_what_cannot_be_added_is_one_clear_line(left, right, message):
    with pytest.raises(AnalysisError, match=message) as caught:
        add(left, right)
    assert "\n" not in str(caught.value)
