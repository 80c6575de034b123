"""Kilo-events per CPU second of all engines on one file, one core, in turns."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from adl.asking import (
    ARRAY,
    BY_HAND,
    DECOMPRESSION,
    KERNEL,
    PEERS,
    Answer,
    Engine,
    Program,
    engines,
)
from measurement import Bar, Measurement

UNIT = "kev/CPU s"
BEST_PEER = {1: 3.0, 2: 2.5, 3: 3.5, 4: 1.5, 5: 3.3, 6: 2.7, 7: 5.0, 8: 3.3}
"""Kernels over the best peer of that query in the same run, ZSTD."""
SHARE = {1: 0.6, 2: 0.6, 3: 0.6, 4: 0.55, 5: 0.6, 6: 0.4, 7: 0.6, 8: 0.6}
"""Kernels over decompression only."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Repetitions by engine and query."""

    name: str
    """Of the file."""
    values: dict[str, dict[int, list[float]]]

    def row(
        self, query: int, ours: Program, others: Sequence[Program], bar: Bar
    ) -> Measurement:
        """Return ours beside the one of the others whose median is best."""
        candidates = [
            Measurement(
                f"Q{query} {self.name}: {ours.name}",
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
    path: Path,
    events: int,
    programs: Sequence[Program],
    queries: Sequence[int],
    rounds: int,
) -> Rates:
    """Ask all engines everything, once to warm up and then ``rounds`` times.

    Raises:
        ValueError: an engine's histograms are not those of the first engine.
    """
    values: dict[str, dict[int, list[float]]] = {
        program.name: {query: [] for query in queries} for program in programs
    }
    core = max(os.sched_getaffinity(0))
    with engines(programs, core) as started:
        for query in queries:
            warm = [engine.ask(query, str(path)) for engine in started]
            require_equal(query, started, warm)
        for _ in range(rounds):
            for query in queries:
                for engine in started:
                    answer = engine.ask(query, str(path))
                    rate = events / answer.cpu / 1000
                    values[engine.program.name][query].append(rate)
    return Rates(name, values)


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
            (KERNEL, (DECOMPRESSION,), SHARE[query]),
            (ARRAY, (BY_HAND,), 1.0),
        ):
            rows.append(rates.row(query, ours, others, Bar(limit, at_least=True)))
    return rows
