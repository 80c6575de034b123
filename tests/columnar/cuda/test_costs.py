"""The choice between CPU and GPU, with costs that are made up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facility.columnar.fused.costs import (
    FEWEST_EVENTS,
    Costs,
    Measured,
    at_least,
    choose,
    expected,
)

CONSTANT = st.floats(0, 0.1)
SLOPE = st.floats(1e-9, 1e-5)
TRUTH = st.fixed_dictionaries(
    {"cpu": st.tuples(CONSTANT, SLOPE), "cuda": st.tuples(CONSTANT, SLOPE)}
)
SIZES = [10_000, 100_000, 1_000_000, 10_000_000]


def cost(truth, engine, events):
    constant, slope = truth[engine]
    return constant + slope * events


def after(truth, sizes):
    """Return what is known after chunks of these sizes, each computed as chosen."""
    costs = Costs()
    for events in sizes:
        engine = choose(costs, events)
        costs = costs.with_one(engine, Measured(events, cost(truth, engine, events)))
    return costs


@given(TRUTH, st.permutations(SIZES * 3))
def test_once_measured_the_choice_is_within_a_tenth_of_the_better(truth, sizes):
    costs = after(truth, sizes)
    for events in SIZES:
        chosen = cost(truth, choose(costs, events), events)
        best = min(cost(truth, engine, events) for engine in ("cpu", "cuda"))
        if events >= FEWEST_EVENTS:
            assert chosen <= 1.1 * best


@given(
    CONSTANT, SLOPE, st.lists(st.integers(1, 10**8), min_size=1), st.integers(1, 10**8)
)
def test_the_model_is_exact_for_costs_of_its_form(constant, slope, sizes, events):
    costs = Costs()
    for size in sizes:
        costs = costs.with_one("cpu", Measured(size, constant + slope * size))
    truth = constant + slope * events
    assert at_least(costs.cpu, events) <= truth * (1 + 1e-9)
    if max(sizes) >= 2 * min(sizes) and len(costs.cpu) > 1:
        assert expected(costs.cpu, events) == pytest.approx(truth, rel=0.01)


def test_the_cpu_is_measured_first_and_small_chunks_stay_there():
    assert choose(Costs(), 10_000_000) == "cpu"
    known = Costs().with_one("cpu", Measured(FEWEST_EVENTS - 1, 1.0))
    assert choose(known, FEWEST_EVENTS - 1) == "cpu"
    assert choose(known, FEWEST_EVENTS) == "cuda"


def test_a_gpu_is_tried_again_only_where_it_may_be_faster():
    costs = Costs().with_one("cpu", Measured(1_000_000, 0.1))
    slow = costs.with_one("cuda", Measured(1_000_000, 0.2))
    # A smaller chunk costs at least 0.02 s there, and 0.01 s here.
    assert choose(slow, 100_000) == "cpu"
    # A larger one may cost as little as 0.2 s there, and costs 1 s here.
    assert choose(slow, 10_000_000) == "cuda"
    settled = slow.with_one("cuda", Measured(10_000_000, 2.0))
    assert choose(settled, 10_000_000) == "cpu"


def test_the_best_of_similar_sizes_is_kept():
    costs = Costs().with_one("cpu", Measured(1000, 3.0))
    costs = costs.with_one("cpu", Measured(1010, 2.0)).with_one(
        "cpu", Measured(1020, 9)
    )
    assert costs == Costs(cpu=(Measured(1010, 2.0),))


def test_of_equal_costs_the_constant_is_not_negative():
    points = Measured(100, 2.0), Measured(1000, 1.0)
    assert 1.0 <= expected(points, 500) <= 2.0
    assert expected([Measured(100, 1.0)], 200) == pytest.approx(2.0)
