"""The parts of the benchmark by name: each returns the rows that it has measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from adl import cores, dask_chunks, first_result, memory, opening
from adl.asking import (
    ARRAY,
    BY_HAND,
    DECOMPRESSION,
    EXPERT,
    KERNEL,
    PEERS,
    RDATAFRAME,
)
from adl.environment import sample_of
from adl.rates import SLOW_QUERIES, Rates, measure, standard_rows
from measurement import Bar, Measurement
from rich.console import Console
from rich.table import Table

from facility.columnar.adl.writing import Format

SMALL_BASKET = 5_000
"""Events: 16 to 64 kB, ROOT's default size of a basket."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a person chose."""

    events: int = 4_000_000
    rounds: int = 3
    queries: Sequence[int] = tuple(range(1, 9))


Part = Callable[[Settings, Console], list[Measurement]]


def queries(settings: Settings, console: Console) -> list[Measurement]:
    """Measure all engines on ZSTD."""
    programs = (KERNEL, ARRAY, *PEERS, EXPERT, DECOMPRESSION)
    sizes = (settings.events // 4, settings.events)
    files = {events: sample_of(events) for events in sizes}
    rates = measure("zstd", programs, settings.queries, settings.rounds, files)
    rows = standard_rows(rates, settings.queries)
    console.print(wide_table(rates, settings))
    return rows


def codecs(settings: Settings, console: Console) -> list[Measurement]:
    """Measure kernels and the fast peers on other codecs and on small baskets."""
    events = settings.events // 4
    rows: list[Measurement] = []
    for name, compression, basket in (
        ("lz4", "lz4:4", 100_000),
        ("zlib", "zlib:1", 100_000),
        ("lzma", "lzma:1", 100_000),
        ("small baskets", "zstd:5", SMALL_BASKET),
    ):
        path = sample_of(events, compression=compression, basket_events=basket)
        peers = (BY_HAND, RDATAFRAME)
        programs = (KERNEL, *peers, EXPERT, DECOMPRESSION)
        rates = measure(
            name, programs, settings.queries, settings.rounds, {events: path}
        )
        console.print(wide_table(rates, settings))
        if name == "lzma":  # for comparison: it takes what the library takes
            continue
        rows += [
            rates.row(query, KERNEL, peers, Bar(1.0, at_least=True))
            for query in settings.queries
        ]
    return rows


def formats(settings: Settings, console: Console) -> list[Measurement]:
    """Measure kernels beside awkward by hand on each format."""
    events = settings.events // 4
    rows: list[Measurement] = []
    for form in Format:
        rates = measure(
            form.value,
            (KERNEL, BY_HAND, EXPERT),
            settings.queries,
            settings.rounds,
            {events: sample_of(events, form=form)},
        )
        console.print(wide_table(rates, settings))
        rows += [
            rates.row(query, KERNEL, (BY_HAND,), Bar(1.0, at_least=True))
            for query in settings.queries
        ]
    return rows


def _of_rounds(
    part: Callable[[int], list[Measurement]],
) -> Part:
    return lambda settings, _: part(settings.rounds)


PARTS: Mapping[str, Part] = {
    "queries": queries,
    "codecs": codecs,
    "formats": formats,
    "cores": lambda settings, _: cores.rows(
        settings.events, settings.queries, settings.rounds
    ),
    "memory": lambda *_: memory.rows(),
    "opening": _of_rounds(opening.rows),
    "first": _of_rounds(first_result.rows),
    "dask": _of_rounds(dask_chunks.rows),
}


def measure_all(
    console: Console,
    settings: Settings | None = None,
    parts: Sequence[str] = tuple(PARTS),
) -> list[Measurement]:
    """Return the rows of the chosen parts, all if none are named."""
    settings = settings or Settings()
    return [row for name in parts for row in PARTS[name](settings, console)]


def wide_table(rates: Rates, settings: Settings) -> Table:
    """Return the medians of all engines side by side."""
    table = Table(
        title=f"{rates.name}, kilo-events per CPU second, one core, "
        f"{rates.events:,} events",
        caption=_fewer(rates),
    )
    table.add_column("engine")
    for query in settings.queries:
        table.add_column(f"Q{query}", justify="right")
    for engine, by_query in rates.values.items():
        medians = (sorted(v)[len(v) // 2] for v in by_query.values())
        table.add_row(engine, *(f"{median:.0f}" for median in medians))
    return table


def _fewer(rates: Rates) -> str | None:
    if rates.fewer_events == rates.events:
        return None
    slow = " and ".join(f"Q{query}" for query in SLOW_QUERIES)
    return (
        f"{slow}: engines of arrays had {rates.fewer_events:,} events; all gave the "
        "same histograms of those before the clock started"
    )
