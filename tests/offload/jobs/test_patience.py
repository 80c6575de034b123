"""Who waits loses no more time than he would have spent sending."""

from hypothesis import given
from hypothesis import strategies as st

from offload.jobs.agent.patience import COMING_S, LEAST_S, LONGEST_S, patience_s


@given(st.integers(0, 2**50), st.floats(1, 1e10), st.booleans())
def test_as_long_as_sending_would_take(size, pace, is_coming):
    wait_s = patience_s(size, pace, is_coming=is_coming)
    sending_s = size / pace
    assert 0 <= wait_s <= LONGEST_S
    if is_coming:
        assert wait_s >= min(COMING_S, LONGEST_S)
        assert wait_s <= max(sending_s, COMING_S)
    else:
        assert wait_s <= sending_s
        assert (wait_s > 0) == (sending_s >= LEAST_S)


def test_of_an_unknown_way_something_is_assumed():
    assert patience_s(10**9, None) == 20.0
    assert patience_s(10**6, None) == 0.0
