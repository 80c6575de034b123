"""Which back end is faster for a chunk, from what chunks have cost: no I/O here.

A chunk of ``n`` events costs ``a + b n`` seconds with ``a`` and ``b`` not negative, on
every back end others. So one measurement bounds all sizes: a larger chunk costs at
least as much and at most in proportion, a smaller one the other way round.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Engine = Literal["cpu", "cuda"]

FEWEST_EVENTS = 20_000
"""Smaller chunks are not tried on a GPU: starting a kernel costs more than they do."""
_KEPT = 24
"""Octaves of sizes: from one event to sixteen million and beyond."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a chunk cost, without reading and compiling."""

    events: int
    seconds: float

    @property
    def octave(self) -> int:
        return min(int(math.log2(max(self.events, 1))), _KEPT)


@dataclass(frozen=True, slots=True)
class Costs:
    """What is known of one program on one machine: the best of each octave of sizes."""

    cpu: tuple[Measured, ...] = ()
    cuda: tuple[Measured, ...] = ()

    def of(self, engine: Engine) -> tuple[Measured, ...]:
        return self.cpu if engine == "cpu" else self.cuda

    def with_one(self, engine: Engine, new: Measured) -> Costs:
        """Return the costs with one measurement more."""
        best = {old.octave: old for old in self.of(engine)}
        old = best.get(new.octave)
        if old is None or new.seconds / new.events < old.seconds / old.events:
            best[new.octave] = new
        points = tuple(best[octave] for octave in sorted(best))
        return Costs(points, self.cuda) if engine == "cpu" else Costs(self.cpu, points)


def choose(costs: Costs, events: int) -> Engine:
    """Return what to compute a chunk of so many events with, a GPU being there.

    The one that is expected to be faster. A GPU is tried where it was not yet measured
    within a factor of two, if what is known does not rule out that it is faster, and
    so is the CPU.
    """
    if not costs.cpu:
        return "cpu"
    if not costs.cuda:
        return "cuda" if events >= FEWEST_EVENTS else "cpu"
    cpu, cuda = expected(costs.cpu, events), expected(costs.cuda, events)
    if cuda < cpu:
        worth_a_try = (
            not _is_near(costs.cpu, events) and at_least(costs.cpu, events) < cuda
        )
        return "cpu" if worth_a_try else "cuda"
    worth_a_try = (
        events >= FEWEST_EVENTS
        and not _is_near(costs.cuda, events)
        and at_least(costs.cuda, events) < cpu
    )
    return "cuda" if worth_a_try else "cpu"


def expected(points: Sequence[Measured], events: int) -> float:
    """Return the seconds that a chunk is expected to cost.

    Least squares of relative differences to ``a + b n``; measurements of similar sizes
    count more, as caches and memory make large chunks a little different.
    """
    rows = [(p.events, p.seconds, _weight(p, events)) for p in points]
    w = sum(weight for _, _, weight in rows)
    wn = sum(weight * n for n, _, weight in rows)
    wnn = sum(weight * n * n for n, _, weight in rows)
    ws = sum(weight * s for _, s, weight in rows)
    wns = sum(weight * n * s for n, s, weight in rows)
    determinant = w * wnn - wn * wn
    if determinant > 1e-9 * w * wnn:
        constant = (ws * wnn - wns * wn) / determinant
        slope = (w * wns - wn * ws) / determinant
        if constant >= 0 and slope >= 0:
            return constant + slope * events
        if slope < 0:
            return ws / w
    return wns / wnn * events


def at_least(points: Iterable[Measured], events: int) -> float:
    """Return what a chunk costs at least, if each point holds and nothing shrinks."""
    return max((p.seconds * min(1.0, events / p.events) for p in points), default=0.0)


def _weight(point: Measured, events: int) -> float:
    octaves = math.log2(point.events / events)
    seconds = max(point.seconds, 1e-9)  # a clock may not have ticked
    return 1 / (seconds * (1 + octaves * octaves)) ** 2


def _is_near(points: Iterable[Measured], events: int) -> bool:
    return any(events / 2 <= p.events <= events * 2 for p in points)
