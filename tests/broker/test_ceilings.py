import pytest
from hypothesis import given
from hypothesis import strategies as st

from facility.broker import Amount, Bound, fitting, refusal
from facility.spec import Ceiling

UNIT = Amount(workers=1, cores=2, memory=2**30)


def bound(used: Amount = Amount(), **ceiling: int) -> Bound:  # noqa: B008
    return Bound("user alice", Ceiling(**ceiling), used)


@pytest.mark.parametrize(
    ("bounds", "fits"),
    [
        ([], 9),
        ([bound()], 9),
        ([bound(workers=4)], 4),
        ([bound(cores=5)], 2),
        ([bound(memory=2**30 - 1)], 0),
        ([bound(workers=4), bound(cores=6)], 3),
        ([bound(UNIT.times(3), workers=4)], 1),
        ([bound(UNIT.times(9), workers=4)], 0),
        ([bound(clusters=0)], 9),
    ],
)
def test_fitting(bounds, fits) -> None:
    assert fitting(UNIT, 9, bounds) == fits


def test_a_refusal_says_the_numbers_and_what_would_fit() -> None:
    used = UNIT.times(34)
    line = str(refusal(UNIT, 20, [bound(used, workers=40, memory=64 * 2**30)]))
    assert line == (
        "user alice may use 40 workers, has 34 and asked for 20 more; 6 would fit now"
    )
    line = str(refusal(UNIT, 20, [bound(used, memory=35 * 2**30)]))
    assert line == (
        "user alice may use 35 GiB memory, has 34 GiB and asked for 20 GiB more; "
        "1 would fit now"
    )


@given(
    count=st.integers(0, 50),
    used=st.integers(0, 50),
    workers=st.none() | st.integers(0, 60),
    cores=st.none() | st.integers(0, 120),
)
def test_what_fits_is_the_most_that_stays_below(count, used, workers, cores) -> None:
    bounds = [bound(UNIT.times(used), workers=workers, cores=cores)]

    def is_legal(more: int) -> bool:
        return (workers is None or used + more <= workers) and (
            cores is None or 2 * (used + more) <= cores
        )

    fits = fitting(UNIT, count, bounds)
    assert 0 <= fits <= count
    assert fits == 0 or is_legal(fits)
    assert fits == count or not is_legal(fits + 1)
    assert (refusal(UNIT, count, bounds) is None) == (fits == count)
