"""Whichever way is ready sooner, from what was read before."""

import pytest

from offload.cache.reading.choosing import Amount, Situation, Way, choose
from offload.cache.reading.pace import Pace

IMAGE = Amount(10_000, 400_000_000)
NEAR, FAR = Pace(0.002, 80e6), Pace(0.022, 20e6)


def situation(**changes):
    base = {
        "image": IMAGE,
        "missing": IMAGE,
        "read_before": IMAGE.share(0.3),
        "pace": FAR,
        "connections": 16,
        "has_bundle": False,
        "can_mount": True,
    }
    return Situation(**(base | changes))


@pytest.mark.parametrize(
    ("has_bundle", "ways"),
    [
        (False, [Way.LAZY, Way.WHOLE, Way.WHOLE, Way.WHOLE]),
        (True, [Way.LAZY] * 4),
    ],
)
def test_little_of_an_image_is_read_lazily_and_much_of_it_from_a_bundle(
    has_bundle, ways
):
    parts = map(IMAGE.share, (0.01, 0.2, 0.8, 1.0))
    assert ways == [
        choose(situation(read_before=part, has_bundle=has_bundle)).way for part in parts
    ]


def test_a_bundle_saves_round_trips():
    without, beside = (choose(situation(has_bundle=b)) for b in (False, True))
    assert beside.lazy_s < without.lazy_s - 3_000 * FAR.delay_s * 0.9
    assert beside.whole_s == without.whole_s


def test_where_nothing_can_be_mounted_all_is_fetched():
    few = Amount(1, 1)
    assert choose(situation(read_before=few, can_mount=False)).way is Way.WHOLE
    assert choose(situation(read_before=few)).way is Way.LAZY


def test_what_is_here_needs_no_mount():
    assert choose(situation(missing=Amount(0, 0), pace=NEAR)).way is Way.WHOLE


@pytest.mark.parametrize("has_bundle", [False, True])
def test_more_to_read_never_makes_lazy_quicker(has_bundle):
    seconds = [
        choose(situation(read_before=IMAGE.share(n / 20), has_bundle=has_bundle)).lazy_s
        for n in range(21)
    ]
    assert seconds == sorted(seconds)


def test_an_empty_image_is_no_difficulty():
    nothing = Amount(0, 0)
    choice = choose(situation(image=nothing, missing=nothing, read_before=None))
    assert choice.way is Way.WHOLE
