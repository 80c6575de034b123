"""What compiles computes what the same lines compute in Python, to the last bit."""

from __future__ import annotations

import itertools
import math
from itertools import chain
from math import inf

import hist
import numpy as np
import pytest
from hypothesis import given, settings

from facility.columnar import MissingBranchError
from facility.columnar.fused import KernelError, kernel
from tests.columnar.fused.made_events import assert_same_bits, made_events

WINDOW = (60, 120)
CUT = 30
NAMES = [
    *("a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p"),
    *("q", "r", "s", "t", "u", "v", "w", "x", "y", "z"),
]


def sums():
    """Return a histogram whose bins are sums of whatever is filled as a weight."""
    return hist.Hist.new.StrCat(NAMES, name="what").Weight()


def clipped(value, low=0, high=1.5):
    if value < low:
        return low
    if value > high:
        return high
    return value


def first_close(one, others):
    """Return the position of the first within 0.8, or -1."""
    for i, other in enumerate(others):
        if one.delta_r(other) < 0.8:
            return i
    return -1


def harder(a, b):
    return a if a.pt > b.pt else b


def hardest_of(objects):
    best = None
    for one in objects:
        if best is None or one.pt > best.pt:
            best = one
    return best.pt if best is not None else -1.0


@kernel(h=sums())
def control_flow(event, h):  # noqa: PLR0912 - as many ways as there are
    """Ways through the body."""
    if not event.good:
        h.fill("a", weight=event.weight)
        return
    n = 0
    while True:
        n += 1
        if n > event.small:
            break
        if n % 2 == 0:
            continue
        h.fill("b", weight=n)
    for i, jet in enumerate(event.Jet, 1):
        if jet.pt < 10:
            continue
        for k in range(10, i, -3):
            if k > 8 and jet.tight:
                break
            h.fill("c", weight=k * jet.pt)
        else_taken = 1 if jet.pt > CUT else 2
        h.fill("d", weight=else_taken)
    for a, b in event.Jet.pairs():
        if a.pt == b.pt:
            h.fill("e", weight=a.eta)
            break
    for a, b, c in event.Jet.combinations(3):
        if a.charge + b.charge + c.charge > 0:
            continue
        h.fill("f", weight=a.pt)
        if c.tight:
            break
        h.fill("g", weight=c.phi)
    for jet in event.Jet:
        for muon in event.Muon:
            if muon.charge == jet.charge:
                return
            h.fill("h", weight=muon.pt)
    x, y = 1.0, event.weight
    x, y = y, x
    h.fill("i", weight=x - 2 * y)
    while x < 3 and y < 9 and n < 99:
        x, y, n = x + 1, y + x, n + 9
    h.fill("j", weight=y)


@kernel(h=sums())
def objects(event, h):  # noqa: PLR0912 - as many ways as there are
    """Variables that hold objects, of one kind or another, or nothing."""
    best = None
    for lepton in chain(event.Muon, event.Electron):
        if best is None or lepton.pt > best.pt:
            best = lepton
    if best is not None:
        h.fill("a", weight=best.pt)
        h.fill("b", weight=best.px)
        h.fill("c", weight=(best + event.Jet[0]).mass if len(event.Jet) else 0.0)
        for muon in event.Muon:
            if muon is best:
                h.fill("d", weight=muon.eta)
            if muon is not best:
                h.fill("e", weight=muon.eta)
    for jet in event.Jet:
        place = first_close(jet, event.Muon)
        if place >= 0:
            h.fill("f", weight=event.Muon[place].pt)
        h.fill("g", weight=clipped(jet.btag, high=0.5))
    if len(event.Jet) >= 2:
        h.fill("h", weight=harder(event.Jet[0], event.Jet[-1]).mass)
        first, second = event.Jet[1], event.Jet[0]
        first, second = second, first
        h.fill("i", weight=first.pt - 2 * second.pt)
    h.fill("j", weight=hardest_of(event.Electron))
    closest = inf
    for leptons in (event.Muon, event.Electron):
        for a, b in leptons.pairs():
            distance = abs((a + b).mass - 91.2)
            if distance < closest:
                closest, one, other, pair = distance, a, b, a + b
    if closest < inf:
        h.fill("k", weight=pair.pt)
        h.fill("l", weight=one.delta_phi(other))
        h.fill("m", weight=one.transverse_mass(event.MET))
    previous = None
    for jet in event.Jet:
        if previous is not None:
            h.fill("n", weight=jet.pt - previous.pt)
        previous = jet


@kernel(h=sums())
def arithmetic(event, h):
    """Operators, on integers, numbers and truth values."""
    x, k = event.x, event.small
    for jet in event.Jet:
        y, n = jet.eta, jet.flags
        h.fill("a", weight=(x + y) * 2 - k / n)
        h.fill("b", weight=y // jet.pt)
        h.fill("c", weight=y % jet.pt)
        h.fill("d", weight=n // k + 3 * (n % k))
        h.fill("e", weight=y**2 + y**3 - y**0.5)
        h.fill("f", weight=n**2 - (k - 3) ** 3)
        h.fill("g", weight=-y + abs(k) - abs(y))
        h.fill("h", weight=n & 3 | 8 ^ (n >> 1) + (n << 2))
        h.fill("i", weight=(y > 0) + (y > 1) + jet.tight)
        h.fill("j", weight=1 if -1 < y <= 1 != x else 2.5)
        h.fill("k", weight=1 if y in (0, 1, 30) or n not in (1, 2) else 0)
        h.fill("l", weight=~k)
        h.fill("m", weight=min(y, x, k) - max(1, k, n))
        h.fill("n", weight=2.0**-1 + 7 // 2 + 7 % 3 + 1 / 3)
        h.fill("o", weight=True + jet.charge * False)
        h.fill("p", weight=1 if WINDOW[0] < jet.pt < WINDOW[1] else 0)
        total = 0
        total += y
        total *= 2
        total -= k
        total /= 3
        total **= 2
        h.fill("q", weight=total)
        h.fill("r", weight=event.run % 1000)
        h.fill("s", weight=1 / 0 if jet.tight and not event.good else 0 * x)
    for scale in event.scales:
        h.fill("t", weight=scale)
    if len(event.scales) > 1:
        h.fill("u", weight=event.scales[1] - event["scales"][-1])


@kernel(h=sums(), other=hist.Hist.new.Reg(7, -2, 5).Double())
def functions(event, h, other):
    """Functions of one number and of two, generators, conversions."""
    x = event.weight
    h.fill("a", weight=math.sin(x) + math.cos(x) * np.tan(x))
    h.fill("b", weight=math.exp(x) - np.log(x) + math.log10(abs(x)) + math.log1p(x))
    h.fill("c", weight=math.sqrt(x))
    h.fill("d", weight=np.arctan2(x, event.MET.pt) + math.hypot(x, event.MET.phi))
    h.fill("e", weight=math.asin(x) + math.acos(x) + math.atan(x))
    h.fill("f", weight=math.sinh(x) + math.cosh(x) + math.tanh(x) + math.expm1(x))
    h.fill("g", weight=math.asinh(x))
    h.fill("h", weight=math.acosh(x) + math.atanh(x))
    h.fill("i", weight=math.pow(x, event.MET.pt) + math.fmod(x, 0.7))
    h.fill("j", weight=math.copysign(1.5, x) + math.degrees(x) + np.radians(x))
    if math.isfinite(x) and not np.isnan(x) and abs(x) < 1e9:
        h.fill("k", weight=math.floor(x) + math.ceil(x) - int(x) + float(event.small))
    h.fill("l", weight=any(j.pt > CUT for j in event.Jet))
    h.fill("m", weight=all(j.pt > CUT for j in event.Jet if j.tight))
    h.fill("n", weight=sum(j.pt for j in event.Jet))
    h.fill("o", weight=sum(j.pt > CUT for j in event.Jet))
    h.fill("p", weight=max((j.pt for j in event.Jet), default=-1))
    if len(event.Muon) > 0:
        h.fill("q", weight=min(m.eta for m in event.Muon))
    h.fill(
        "r",
        weight=any(
            j.delta_r(m) < 0.4
            for j in event.Jet
            for m in chain(event.Muon, event.Electron)
        ),
    )
    h.fill("s", weight=sum((a + b).pt for a, b in event.Jet.pairs()))
    h.fill("t", weight=sum(1 for _ in itertools.combinations(event.Muon, 2)))
    h.fill("u", weight=np.floor(x) + np.abs(event.small))
    h.fill("v", weight=bool(event.small) + math.pi)
    h.fill("w" if event.good else "no such", weight=1)
    if not all(m.charge > 0 for m in event.Muon) and event.Muon[0].pt > 1:
        other.fill(x)


@kernel(h=sums())
def momenta(event, h):
    """Four-momenta."""
    for jet in event.Jet:
        h.fill("a", weight=jet.px)
        h.fill("b", weight=jet.py)
        h.fill("c", weight=jet.pz)
        h.fill("d", weight=jet.energy)
        h.fill("e", weight=jet.p)
        h.fill("f", weight=jet.rapidity)
    for a, b in event.Jet.pairs():
        both = a + b
        h.fill("g", weight=both.pt)
        h.fill("h", weight=both.eta)
        h.fill("i", weight=both.phi)
        h.fill("j", weight=both.mass)
        h.fill("k", weight=(a - b).energy)
        h.fill("l", weight=(2 * a + b * 0.5).mass)
        h.fill("m", weight=a.delta_r(b))
        h.fill("n", weight=both.delta_r(a))
        h.fill("o", weight=a.delta_phi(b))
        h.fill("p", weight=a.transverse_mass(event.MET))
        h.fill("q", weight=1 if a.delta_r(b) < 0.4 else 2)
        h.fill("r", weight=1 if 0.4 <= a.delta_r(b) <= 1.1 else 2)
        h.fill("s", weight=1 if both.mass > 5 else 2)
        h.fill("t", weight=1 if both.pt > 20 else 2)
        h.fill("u", weight=event.MET.px + event.MET.py)


def heavy_pair(event, least):
    """Return from within a loop of pairs, of several collections."""
    for objects_ in (event.Muon, event.Electron):
        for a, b in objects_.pairs():
            if a.charge == b.charge:
                continue
            if (a + b).mass > least:
                return (a + b).pt
    for a, b, c in event.Jet.combinations(3):
        if not a.tight:
            break
        for muon in chain(event.Muon, event.Electron):
            if muon.pt > a.pt:
                return muon.eta + b.phi + c.phi
    return -1.0


def fill_hard(h, objects_, least=20):
    """Fill a histogram that is an argument, and return early."""
    for n, one in enumerate(objects_):
        if n > 2:
            return
        if one.pt > least:
            h.fill("a", weight=one.pt)


@kernel(h=sums())
def leaving(event, h):  # noqa: PLR0912 - as many ways as there are
    """Ways out of loops that are several in the generated source."""
    for jet in event.Jet:
        fill_hard(h, event.Muon, jet.pt)
        if heavy_pair(event, jet.mass) > 10:
            h.fill("b", weight=heavy_pair(event, least=jet.eta))
            break
    for lepton in chain(event.Muon, event.Electron):
        if lepton.tight:
            continue
        h.fill("c", weight=lepton.pt)
        if lepton.charge > 0:
            break
    for i, (a, b) in enumerate(event.Jet.pairs()):
        if i == 3 or a.tight:
            break
        for name in (1, 2, 3):
            if name == 2 and b.tight:
                break
            h.fill("d", weight=name * b.pt)
    n = 0
    while n < 5:
        n += 1
        for a, b in event.Muon.pairs():
            if a.pt > b.pt:
                n += 1
                break
            h.fill("e", weight=b.pt)
        else_n = n
        if n == 3:
            continue
        h.fill("f", weight=else_n)
    for muon in event.Muon:
        for jet in event.Jet:
            if jet.delta_r(muon) < 1:
                near = jet
                break
        else_near = 1.0 if muon.tight else near.pt if len(event.Jet) > 99 else 2.0
        h.fill("g", weight=else_near)
    first = second = None
    for a, b in chain(event.Muon.pairs(), event.Electron.pairs()):
        if first is None or (a + b).pt > (first + second).pt:
            first, second = a, b
    if first is not None:
        h.fill("h", weight=first.delta_r(second))
        if second is not None and first.tight and second.tight:
            return
    h.fill("i", weight=1)


@kernel(pt=hist.Hist.new.Reg(20, 0, 100).Double())
def central(event, pt):
    """A loop whose turns are independent: done without events."""
    for jet in event.Jet:
        if jet.eta < -1:
            continue
        if abs(jet.eta) < 1 or jet.tight:
            pt.fill(jet.pt)


@kernel(pz=hist.Hist.new.Reg(20, -50, 50).Weight())
def independent_momenta(event, pz):
    """The same, with four-momenta and weights."""
    for jet in event.Jet:
        pz.fill(jet.pz, weight=jet.btag)


@kernel(met=hist.Hist.new.Reg(20, 0, 100).Int64())
def single_numbers(event, met):
    """One number of each event."""
    if event.small > -5:
        met.fill(event.MET.px)


KERNELS = [
    control_flow,
    objects,
    arithmetic,
    functions,
    momenta,
    leaving,
    central,
    independent_momenta,
    single_numbers,
]


@pytest.mark.parametrize("compiled", KERNELS, ids=lambda k: k.name)
@settings(max_examples=15)
@given(events=made_events())
def test_compiled_equals_python(compiled, events):
    assert_same_bits(compiled(events), compiled.python(events))


@kernel(h=sums())
def failing(event, h):
    """What fails in Python fails when compiled, in the same events."""
    if event.small > 0:
        h.fill("a", weight=event.Jet[event.small - 2].pt)
    for jet in event.Jet:
        if jet.tight:
            found = jet.pt
    if event.good:
        h.fill("b", weight=found)
    best = None
    for muon in event.Muon:
        best = muon
    if event.small < -5:
        h.fill("c", weight=best.pt)
    if event.small == 0:
        h.fill("d", weight=int(event.x))
    if event.small == -1:
        h.fill("e", weight=max(m.pt for m in event.Muon))


IN_PYTHON = (IndexError, UnboundLocalError, AttributeError, ValueError, OverflowError)


@settings(max_examples=40)
@given(events=made_events(most=2))
def test_what_fails_in_python_fails_compiled(events):
    try:
        expected = failing.python(events)
    except IN_PYTHON:
        with pytest.raises(
            KernelError, match=r"test_language.py:\d+: .*entry \d of made-up"
        ):
            failing(events)
    else:
        assert_same_bits(failing(events), expected)


@given(events=made_events(most=1))
@settings(max_examples=1)
def test_a_branch_that_is_not_there_names_the_nearest(events):
    @kernel(h=sums())
    def wrong(event, h):
        h.fill("a", weight=event.wieght)

    with pytest.raises(MissingBranchError, match=r"test_language.*wieght.*weight"):
        wrong.program(events)
