"""``facility bench``: standard queries on a person's own files and machine."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from facility.cli.invocation import Json
from facility.errors import UsageError

if TYPE_CHECKING:
    from facility.columnar.adl.running import Timing

Kind = TypeVar("Kind", bound=StrEnum)

app = typer.Typer(
    name="bench", help="Standard queries, timed on this machine.", no_args_is_help=True
)


@app.callback()
def _bench() -> None:
    """Keep `adl` a command of its own, though it is the only one."""


@app.command()
def adl(  # noqa: PLR0917 - each is an option
    files: Annotated[
        list[str],
        typer.Argument(
            help="NanoAOD-like files: paths, URLs or globs; with --generate the file "
            "to write.",
            metavar="FILE...",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for q1.csv ... q6a.csv q6b.csv ... q8.csv.", file_okay=False
        ),
    ] = None,
    threads: Annotated[int, typer.Option(help="Threads that compute.", min=1)] = 1,
    queries: Annotated[
        str | None, typer.Option(help="Which, as in 1,6; all if not given.")
    ] = None,
    style: Annotated[
        str, typer.Option(help="kernel: a compiled loop; array: awkward.")
    ] = "kernel",
    as_json: Json = False,
    generate: Annotated[
        int | None,
        typer.Option(help="Write so many made-up events.", metavar="N", min=1),
    ] = None,
    seed: Annotated[
        int, typer.Option(help="Of --generate: same seed, same events.", min=0)
    ] = 1,
    compression: Annotated[
        str, typer.Option(help="Of --generate: zstd:5, lz4, zlib:1, lzma or none.")
    ] = "zstd:5",
    basket_events: Annotated[
        int, typer.Option(help="Of --generate: events of one basket.", min=1)
    ] = 100_000,
    form: Annotated[
        str, typer.Option("--format", help="Of --generate: ttree, rntuple or parquet.")
    ] = "ttree",
) -> None:
    """Ask the eight ADL queries of NanoAOD-like files, or write such a file."""
    # Late: awkward and uproot take a second that `--help` does not need.
    if generate is not None:
        from facility.columnar.adl.writing import Format, write_sample

        if len(files) != 1 or out is not None:
            raise UsageError("--generate N OUT.root: expected one file and no --out")
        path = Path(files[0])
        write_sample(
            path,
            generate,
            seed=seed,
            compression=compression,
            basket_events=basket_events,
            form=_one_of(Format, "--format", form),
        )
        record = {"path": str(path), "events": generate, "seed": seed}
        typer.echo(json.dumps(record | {"kind": "simulation"}) if as_json else path)
        return

    from facility.columnar.adl.queries import Style, choose
    from facility.columnar.adl.running import ask, write_csv

    if out is None:
        raise UsageError("--out DIR: where to write the histograms; none was given")
    timings: list[Timing] = []
    chosen, written = choose(queries), _one_of(Style, "--style", style)
    for query in chosen:
        histograms, timing = ask(query, files, written, threads)
        timings.append(timing)
        for name, histogram in histograms.items():
            write_csv(out / f"{name}.csv", histogram)
    if as_json:
        typer.echo(json.dumps([timing.to_json() for timing in timings], indent=1))
    else:
        _print(timings, written, threads)


def _one_of(kinds: type[Kind], option: str, word: str) -> Kind:
    """Return the member of an enumeration that was typed.

    Raises:
        UsageError: there is none of that name.
    """
    try:
        return kinds(word)
    except ValueError:
        names = ", ".join(kinds)
        raise UsageError(f"{option} {word!r}: expected one of {names}") from None


def _print(timings: list[Timing], style: str, threads: int) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(
        title=f"{timings[0].events:,} events, {style} style, threads: {threads}",
        box=None,
        pad_edge=False,
    )
    for heading in ("", "query", "kilo-events/CPU s", "wall [s]", "read [MB]"):
        is_word = heading in {"", "query"}
        table.add_column(heading, justify="left" if is_word else "right")
    for one in timings:
        table.add_row(
            str(one.query),
            one.what,
            f"{one.kilo_events_per_cpu_second:,.0f}",
            f"{one.wall_seconds:.3f}",
            f"{one.bytes_read / 1e6:.1f}",
        )
    Console().print(table)
