"""Waits grow and end; what will not pass is not tried again."""

import pytest

from facility.columnar.remote.failures import Kind
from facility.columnar.remote.patience import Patience

PATIENCE = Patience(attempts=5, first_s=0.1, factor=3, longest_s=2)


@pytest.mark.parametrize(
    ("failed", "chance", "wait"),
    [
        (1, 0, 0.1),
        (2, 0, 0.3),
        (3, 0, 0.9),
        (4, 0, 2),  # not 2.7
        (5, 0, None),
        (1, 1, 0.05),
        (4, 0.5, 1.5),
    ],
)
def test_waits(failed, chance, wait):
    found = PATIENCE.wait_s(Kind.PASSING, failed, chance)
    assert found == (wait if wait is None else pytest.approx(wait))


@pytest.mark.parametrize("kind", [k for k in Kind if k is not Kind.PASSING])
def test_what_will_not_pass_is_not_tried_again(kind):
    assert PATIENCE.wait_s(kind, 1, 0) is None
