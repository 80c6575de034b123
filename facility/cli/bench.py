"""``facility bench``: standard queries on a person's own files and machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="bench", help="Standard queries, timed on this machine.", no_args_is_help=True
)


@app.callback()
def _bench() -> None:
    """Keep `adl` a command of its own, though it is the only one."""


@app.command()
def adl(
    out: Annotated[Path, typer.Argument(help="The file to write.")],
    generate: Annotated[
        int, typer.Option(help="Write so many made-up events.", metavar="N", min=1)
    ],
    seed: Annotated[int, typer.Option(help="Seed: same seed, same events.")] = 1,
    compression: Annotated[
        str, typer.Option(help="zstd:5, lz4, zlib:1, lzma or none.")
    ] = "zstd:5",
    basket_events: Annotated[
        int, typer.Option(help="Events of one basket.", min=1)
    ] = 100_000,
    form: Annotated[
        str, typer.Option("--format", help="ttree, rntuple or parquet.")
    ] = "ttree",
) -> None:
    """Ask the eight ADL queries of NanoAOD-like files, or write such a file."""
    # Late: awkward and uproot take a second that `--help` does not need.
    from facility.columnar.adl.writing import Format, write_sample

    write_sample(
        out,
        generate,
        seed=seed,
        compression=compression,
        basket_events=basket_events,
        form=Format(form),
    )
    typer.echo(out)
