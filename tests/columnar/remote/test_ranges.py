"""Merged ranges cover what was asked for, are apart, and hold little else."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facility.columnar.remote.ranges import LARGEST_BYTES, merged

RANGES = st.lists(
    st.tuples(st.integers(0, 10**6), st.integers(1, 10**5)).map(
        lambda pair: (pair[0], pair[0] + pair[1])
    )
)


@given(RANGES, st.integers(0, 10**5))
def test_each_range_is_within_one_request(ranges, gap):
    requests = merged(ranges, gap)
    assert requests == sorted(requests)
    for start, stop in ranges:
        assert sum(a <= start and stop <= b for a, b in requests) == 1
    for (_, end), (begin, _) in itertools.pairwise(requests):
        assert begin >= end


@pytest.mark.parametrize(
    ("ranges", "requests"),
    [
        ([], []),
        ([(5, 9), (0, 3)], [(0, 9)]),
        ([(0, 3), (14, 15)], [(0, 3), (14, 15)]),
        ([(0, 9), (2, 4), (8, 12)], [(0, 12)]),
        (
            [(0, LARGEST_BYTES), (LARGEST_BYTES, LARGEST_BYTES + 1)],
            [(0, LARGEST_BYTES), (LARGEST_BYTES, LARGEST_BYTES + 1)],
        ),
    ],
)
def test_neighbours_are_one_request(ranges, requests):
    assert merged(ranges, gap=10) == requests
