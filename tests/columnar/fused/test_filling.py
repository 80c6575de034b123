"""Kernels fill as boost-histogram does: the same bins, sums and variances."""

from __future__ import annotations

import hist
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from facility.columnar.columns import Column
from facility.columnar.fused import kernel
from facility.columnar.notes import noting
from tests.columnar.fused.made_events import assert_same_bits, events_of

EDGES = [-1.0, 0.0, 0.1, 0.7, 2.5, 2.5000001, 30.0]
AXIS = hist.axis
TEMPLATES = {
    "both": AXIS.Regular(7, 0.1, 0.7),
    "neither": AXIS.Regular(7, 0.1, 0.7, underflow=False, overflow=False),
    "under": AXIS.Regular(7, 0.1, 0.7, overflow=False),
    "over": AXIS.Regular(7, 0.1, 0.7, underflow=False),
    "circular": AXIS.Regular(5, -1, 2.5, circular=True),
    "log": AXIS.Regular(6, 0.1, 30, transform=AXIS.transform.log),
    "sqrt": AXIS.Regular(6, 0.1, 30, transform=AXIS.transform.sqrt),
    "power": AXIS.Regular(6, 0.1, 30, transform=AXIS.transform.Pow(0.3)),
    "variable": AXIS.Variable(EDGES),
    "closed": AXIS.Variable(EDGES, underflow=False, overflow=False),
}
WHOLE = {
    "integer": AXIS.Integer(-2, 3),
    "integer_closed": AXIS.Integer(-2, 3, underflow=False, overflow=False),
    "category": AXIS.IntCategory([3, -1, 7]),
    "category_closed": AXIS.IntCategory([3, -1, 7], overflow=False),
}


def of(axis, storage=None):
    return hist.Hist(axis, storage=storage or hist.storage.Double())


@kernel(**{name: of(axis) for name, axis in TEMPLATES.items()})
def numbers(  # noqa: PLR0917 - one for each axis
    event, both, neither, under, over, circular, log, sqrt, power, variable, closed
):
    both.fill(event.x)
    neither.fill(event.x)
    under.fill(event.x)
    over.fill(event.x)
    circular.fill(event.x)
    log.fill(event.x)
    sqrt.fill(event.x)
    power.fill(event.x)
    variable.fill(event.x)
    closed.fill(event.x)


@kernel(**{name: of(axis, hist.storage.Int64()) for name, axis in WHOLE.items()})
def integers(event, integer, integer_closed, category, category_closed):
    integer.fill(event.n)
    integer_closed.fill(event.n)
    category.fill(event.n)
    category_closed.fill(event.n)


def several_axes(storage):
    return hist.Hist(
        AXIS.Regular(3, 0, 1, name="x"),
        AXIS.StrCategory(["low", "high"], name="what"),
        AXIS.Variable([0, 1, 5], underflow=False, name="y"),
        AXIS.Boolean(name="is_odd"),
        storage=storage,
    )


@kernel(
    weighted=several_axes(hist.storage.Weight()),
    double=several_axes(hist.storage.Double()),
    counted=several_axes(hist.storage.Weight()),
)
def weights(event, weighted, double, counted):
    weighted.fill(event.x, "low", event.n, event.n % 2 == 1, weight=event.w)
    weighted.fill(0.5, "other", 0, True)
    double.fill(
        y=event.n,
        x=event.x,
        is_odd=event.n % 2 == 1,
        what="low" if event.n > 1 else "high",
        weight=event.w,
    )
    counted.fill(event.x, "high", event.n, event.n % 2 == 1)


SIZE = 40
NEAR = [
    np.nextafter(edge, way)
    for edge in [*EDGES, *np.linspace(0.1, 0.7, 8).tolist()]
    for way in (-np.inf, edge, np.inf)
]
VALUES = arrays(
    np.float64,
    SIZE,
    elements=st.sampled_from([*NEAR, np.nan, np.inf, -np.inf, -0.0, 1e300, -1e300]),
    fill=st.nothing(),
)
INTEGERS = arrays(np.int32, SIZE, elements=st.integers(-4, 8))
WEIGHTS = arrays(np.float64, SIZE, elements=st.sampled_from([0.1, -2.5, 1e-9, 3e7]))


def filled(axis, values, storage=None):
    return of(axis, storage).fill(values)


@given(x=VALUES)
@settings(max_examples=40)
def test_numbers(x):
    got = numbers(events_of({"x": Column(x)}))
    for name, axis in TEMPLATES.items():
        assert_same_bits(got[name], filled(axis, x))


@given(n=INTEGERS)
@settings(max_examples=30)
def test_integers(n):
    got = integers(events_of({"n": Column(n)}))
    for name, axis in WHOLE.items():
        assert_same_bits(got[name], filled(axis, n, hist.storage.Int64()))


@given(x=VALUES, n=INTEGERS, w=WEIGHTS)
@settings(max_examples=30)
def test_weights_and_several_axes(x, n, w):
    got = weights(events_of({"x": Column(x), "n": Column(n), "w": Column(w)}))
    assert_same_bits(
        got["weighted"],
        _one_by_one(
            [
                fill
                for at in range(SIZE)
                for fill in (
                    ((x[at], "low", n[at], n[at] % 2 == 1), w[at]),
                    ((0.5, "other", 0, True), None),
                )
            ]
        ),
    )
    double = several_axes(hist.storage.Double())
    what = np.where(n > 1, "low", "high")
    assert_same_bits(got["double"], double.fill(x, what, n, n % 2 == 1, weight=w))
    counted = several_axes(hist.storage.Weight())
    assert_same_bits(got["counted"], counted.fill(x, "high", n, n % 2 == 1))


def _one_by_one(fills):
    histogram = several_axes(hist.storage.Weight())
    for values, weight in fills:
        histogram.fill(*values, weight=weight)
    return histogram


def test_weights_that_are_not_a_number_are_noted():
    x = np.array([0.1, 0.2, 0.3])
    w = np.array([1.0, np.nan, np.nan])
    columns = {"x": Column(x), "n": Column(np.ones(3, np.int32)), "w": Column(w)}
    with noting() as notes:
        got = weights(events_of(columns))
    assert notes == {"NaN weights": 4}  # two histograms
    assert np.isnan(got["weighted"].sum(flow=True).value)


def test_a_result_has_the_names_and_labels_of_its_template():
    got = weights(
        events_of(
            {
                "x": Column(np.array([0.5])),
                "n": Column(np.array([1], np.int32)),
                "w": Column(np.array([2.0])),
            }
        )
    )
    assert list(got) == ["weighted", "double", "counted"]
    assert got["weighted"].axes.name == ("x", "what", "y", "is_odd")
    # The templates stay empty, and a second call begins from nothing.
    assert numbers(events_of({"x": Column(np.array([0.3]))}))["both"].sum() == 1
    assert numbers(events_of({"x": Column(np.array([0.3]))}))["both"].sum() == 1


BIG = Column(
    np.array([2**63 - 1, -(2**63), 2**32 - 1, 3_037_000_500, 2_000_000_000, -7])
)


@kernel(
    real=hist.Hist(AXIS.Regular(40, -1e19, 1e19)),
    narrow=hist.Hist(AXIS.Regular(5, -3, 7)),
)
def wrapping(event, real, narrow):
    x = event.big
    for y in (
        x + x,
        x - 9223372036854775807,
        x * x,
        x * x * 2,
        x**3,
        -x,
        abs(x),
        x // -1,
        sum(x for _ in (1, 2, 3)),
    ):
        real.fill(y)
        narrow.fill(y)


@kernel(at=hist.Hist(AXIS.Integer(-2, 1000)))
def positions(event, at):
    at.fill(event.big * event.big)


def test_integers_wrap_round_and_are_in_the_bin_of_what_they_are_then():
    """A compiler that takes overflow for impossible leaves out the check of the bin."""
    events = events_of({"big": BIG})
    got, expected = wrapping(events), wrapping.python(events)
    for name in ("real", "narrow"):
        assert_same_bits(got[name], expected[name])
    with np.errstate(over="ignore"):
        squares = BIG.content * BIG.content
    view = positions(events).view(flow=True)
    assert view[0] == (squares < -2).sum() > 0
    assert view[-1] == (squares >= 1000).sum() > 0
    assert view.sum() == len(squares)


@kernel(
    **{name: of(axis, hist.storage.Int64()) for name, axis in WHOLE.items()},
    several=hist.Hist(AXIS.Boolean(), AXIS.Integer(0, 3, name="n")),
)
def beyond(event, integer, integer_closed, category, category_closed, several):
    integer.fill(event.big)
    integer_closed.fill(event.big)
    category.fill(event.big)
    category_closed.fill(event.big)
    several.fill(event.big, n=event.big, weight=2.0)


def test_plain_python_fills_integers_of_64_bits_as_compiled_code_does():
    # In the lower 32 bits: a bin, a category, no truth.
    tempting = np.array([2**32 + 1, 2**32 + 3, 2**40, 2**31 - 1, -(2**31), 3])
    events = events_of({"big": Column(np.concatenate((BIG.content, tempting)))})
    got, expected = beyond.python(events), beyond(events)
    for name in expected:
        assert_same_bits(got[name], expected[name])
    assert got["several"].view(flow=True)[1].tolist() == [6.0, 0.0, 0.0, 0.0, 18.0]
