"""Memory that is used again: by one reader at a time, and no more than is allowed."""

import numpy as np
import pytest

from facility.columnar.buffers import Buffers, Pool


def address(array):
    return array.ctypes.data


def test_the_same_name_has_the_same_memory_until_it_is_outgrown():
    buffers = Buffers()
    first = buffers.take("pt", np.float32, 100)
    assert address(buffers.take("pt", np.float64, 50)) == address(first)
    assert address(buffers.take("eta", np.float32, 100)) != address(first)
    assert len(buffers.take("pt", np.float32, 1000)) == 1000


def test_what_was_given_back_is_lent_again():
    pool = Pool(Buffers)
    with pool.lent() as first, pool.lent() as second:
        assert first is not second
    with pool.lent() as again:
        assert again is first  # it came back last


def test_what_is_lent_when_an_error_passes_comes_back():
    pool = Pool(Buffers)
    with pytest.raises(ZeroDivisionError), pool.lent() as first:
        _ = 1 / 0
    with pool.lent() as again:
        assert again is first


def test_what_is_kept_is_bounded_and_the_oldest_goes():
    pool = Pool(Buffers, kept_bytes=1000)
    with pool.lent() as first, pool.lent() as second:
        for buffers in (first, second):
            buffers.take("pt", np.uint8, 600)
    assert pool.nbytes == 750  # a quarter more than was asked for
    with pool.lent() as kept:
        assert kept is first
        kept.take("pt", np.uint8, 2000)
    assert pool.nbytes == 0
