"""Kilo-events per CPU second of all engines on one file, one core, in turns."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from adl.asking import (
    ARRAY,
    BY_HAND,
    DECOMPRESSION,
    EXPERT,
    KERNEL,
    PEERS,
    Answer,
    Engine,
    Program,
    engines,
)
from measurement import NOT_JUDGED, Bar, Measurement

UNIT = "kev/CPU s"
BEST_PEER = {1: 3.0, 2: 2.5, 3: 3.5, 4: 1.5, 5: 3.3, 6: 2.7, 7: 5.0, 8: 3.3}
"""Kernels over the best peer of that query in the same run, ZSTD."""
SHARE = {1: 0.6, 2: 0.6, 3: 0.6, 4: 0.55, 5: 0.6, 6: 0.4, 7: 0.6, 8: 0.6}
"""Kernels over decompression only."""
SLOW_QUERIES = (6, 8)
"""Those that engines of arrays answer on fewer events."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Repetitions by engine and query."""

    name: str
    """Of the file."""
    values: dict[str, dict[int, list[float]]]
    events: int
    fewer_events: int
    """What engines of arrays had at the slow queries."""

    def row(
        self,
        query: int,
        ours: Program,
        others: Sequence[Program],
        bar: Bar = NOT_JUDGED,
    ) -> Measurement:
        """Return ours beside the one of the others whose median is best."""
        note = " (not judged)" if bar == NOT_JUDGED else ""
        candidates = [
            Measurement(
                f"Q{query} {self.name}: {ours.name}{note}",
                UNIT,
                bar,
                other.name,
                self.values[ours.name][query],
                self.values[other.name][query],
            )
            for other in others
        ]
        return min(candidates, key=lambda one: one.ratio or 0)


def measure(
    name: str,
    programs: Sequence[Program],
    queries: Sequence[int],
    rounds: int,
    files: Mapping[int, Path],
) -> Rates:
    """Ask all engines everything, once to warm up and then ``rounds`` times.

    Args:
        name: of the rates.
        programs: engines; the first one's histograms are expected of all.
        queries: their numbers.
        rounds: repetitions.
        files: one, or two of the same layout, by their numbers of events. The smaller
            one warms up, and is what engines of arrays answer slow queries on.

    Raises:
        ValueError: an engine's histograms are not those of the first engine.
    """
    values: dict[str, dict[int, list[float]]] = {
        program.name: {query: [] for query in queries} for program in programs
    }
    fewer, most = min(files), max(files)

    def size(program: Program, query: int) -> int:
        return fewer if program.is_array and query in SLOW_QUERIES else most

    core = max(os.sched_getaffinity(0))
    with engines(programs, core) as started:
        for query in queries:
            warm = [engine.ask(query, str(files[fewer])) for engine in started]
            require_equal(query, started, warm)
            if fewer == most:
                continue
            # Plans of files are kept: each engine has seen what it will be timed on.
            rest = [e for e in started if size(e.program, query) == most]
            seen = [engine.ask(query, str(files[most])) for engine in rest]
            require_equal(query, rest, seen)
        for _ in range(rounds):
            for query in queries:
                for engine in started:
                    events = size(engine.program, query)
                    answer = engine.ask(query, str(files[events]))
                    rate = events / answer.cpu / 1000
                    values[engine.program.name][query].append(rate)
    return Rates(name, values, most, fewer)


def require_equal(
    query: int, started: Sequence[Engine], answers: Sequence[Answer]
) -> None:
    """Raise ``ValueError`` if two engines do not say the same: nothing is timed."""
    for engine, answer in zip(started, answers, strict=True):
        if engine.program is DECOMPRESSION:
            continue
        for histogram, counts in answers[0].value.items():
            others = answer.value[histogram]
            differing = [
                f"bin {i}: {a:.0f}, {b:.0f}"
                for i, (a, b) in enumerate(zip(counts, others, strict=True))
                if a != b
            ]
            if differing:
                raise ValueError(
                    f"query {query}, histogram {histogram}: "
                    f"{started[0].program.name} and {engine.program.name} differ in "
                    f"{len(differing)} bins ({'; '.join(differing[:3])})"
                )


def standard_rows(rates: Rates, queries: Sequence[int]) -> list[Measurement]:
    """Return the rows of the ZSTD file."""
    rows: list[Measurement] = []
    for query in queries:
        for ours, others, limit in (
            (KERNEL, PEERS, BEST_PEER[query]),
            (KERNEL, (EXPERT,), 0.0),
            (KERNEL, (DECOMPRESSION,), SHARE[query]),
            (ARRAY, (BY_HAND,), 1.0),
            (ARRAY, (EXPERT,), 0.0),
        ):
            rows.append(rates.row(query, ours, others, Bar(limit, at_least=True)))
    return rows
