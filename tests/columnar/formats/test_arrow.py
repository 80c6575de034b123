"""Arrow's pieces as columns."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facility.columnar.buffers import Unshared
from facility.columnar.formats.arrow import column_of

LISTS = st.lists(st.lists(st.integers(-5, 5), max_size=4), max_size=8)


@given(pieces=st.lists(LISTS, max_size=4), skipped=st.integers(0, 3))
@pytest.mark.parametrize("kind", [pa.list_, pa.large_list])
def test_pieces_of_lists_are_one_column(kind, pieces, skipped):
    whole = pa.chunked_array(pieces, type=kind(pa.int32())).slice(skipped)
    column = column_of("x", whole, Unshared())
    lists = whole.to_pylist()
    assert column.content.tolist() == [x for one in lists for x in one]
    assert column.content.dtype == np.int32
    lengths = [len(one) for one in lists]
    assert column.offsets.tolist() == np.cumsum([0, *lengths]).tolist()
    alone = column_of("x", whole, Unshared(), is_listed=False)
    assert alone.content.tolist() == column.content.tolist()
    assert alone.offsets is None


@pytest.mark.parametrize("pieces", [[[True, False, True]], [[True], [False, True]]])
def test_truth_values_are_bytes(pieces):
    column = column_of("x", pa.chunked_array(pieces), Unshared())
    assert column.content.dtype == bool
    assert column.content.tolist() == [True, False, True]


def test_one_piece_of_numbers_is_not_copied():
    values = pa.array(np.arange(10.0))
    column = column_of("x", pa.chunked_array([values]), Unshared())
    assert np.shares_memory(column.content, values.to_numpy())


@pytest.mark.parametrize("values", [[1, None], [[1], None], [[1, None]]])
def test_missing_values_are_refused(values):
    with pytest.raises(ValueError, match="1 of 2 values are missing"):
        column_of("x", pa.chunked_array([values]), Unshared())
