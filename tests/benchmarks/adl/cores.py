"""Two cores beside one, and beside two processes that share nothing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from statistics import median

from adl.asking import KERNEL, Engine, engines
from adl.environment import sample_of
from measurement import Bar, Measurement

UNIT = "Mev/s wall"


def rows(events: int, queries: Sequence[int], rounds: int) -> list[Measurement]:
    """Measure by the wall clock; none on a machine with one core.

    The row of each query has one thread on the other side; the last row is the median
    of all, and the control: two processes of one thread, each on a core of its own.
    """
    cores = sorted(os.sched_getaffinity(0))[:2]
    if len(cores) < 2:
        return []
    path = str(sample_of(events))
    bar = Bar(0.0, at_least=True)
    by_query = {q: Measurement(f"Q{q} two threads", UNIT, bar, "one") for q in queries}
    control = Measurement("two processes (control)", UNIT, bar, "one process")
    with engines((KERNEL, KERNEL)) as pair:
        for query in queries:
            for engine in pair:
                engine.ask(query, path, threads=2)
        for _ in range(rounds):
            for query, row in by_query.items():
                one = pair[0].ask(query, path, threads=1).wall
                two = pair[0].ask(query, path, threads=2).wall
                row.add(is_ours=False, value=events / one / 1e6)
                row.add(is_ours=True, value=events / two / 1e6)
                both = _together(pair, query, path)
                control.add(is_ours=False, value=events / one / 1e6)
                control.add(is_ours=True, value=2 * events / both / 1e6)
    ratios = [row.ratio or 0 for row in by_query.values()]
    summary = Measurement(
        "two threads over one, median of queries",
        "x",
        Bar(1.8, at_least=True, of_ratio=False),
        ours_values=[median(ratios)],
    )
    return [*by_query.values(), control, summary]


def _together(pair: Sequence[Engine], query: int, path: str) -> float:
    for engine in pair:
        engine.send(query, path, threads=1)
    return max([engine.receive().wall for engine in pair])
