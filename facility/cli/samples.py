"""``facility samples``: others' data in a local cache, and a generated sample."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from facility.samples import SAMPLES, Sample, ensure, fetch, is_cached, sample
from facility.samples.fetching import location

app = typer.Typer(
    name="samples", help="Example data: list, fetch, find.", no_args_is_help=True
)

Json = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
Names = Annotated[
    list[str] | None, typer.Argument(help="Names of samples; none means all.")
]


class Generator(StrEnum):
    """Samples that are made here."""

    DIMUON = "dimuon"


@app.command("list")
def list_samples(as_json: Json = False) -> None:
    """Show every sample, whose it is, and whether it is in the cache."""
    if as_json:
        typer.echo(json.dumps([_record(s) for s in SAMPLES], indent=1))
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("name", no_wrap=True)
    for name in ("whose", "what"):
        table.add_column(name)
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("here", no_wrap=True)
    for one in SAMPLES:
        table.add_row(
            one.name,
            one.experiment.value,
            one.title,
            f"{one.size_bytes / 1e6:.1f} MB",
            "yes" if is_cached(one) else "no",
        )
    Console().print(table)


@app.command("fetch")
def fetch_samples(
    names: Names = None,
    as_json: Json = False,
    again: Annotated[
        bool, typer.Option("--again", help="Download even what is in the cache.")
    ] = False,
) -> None:
    """Download samples (all by default) and verify them."""
    wanted = [sample(n) for n in names] if names else list(SAMPLES)
    show = not as_json and Console().is_terminal
    paths = (fetch if again else ensure)(wanted, progress=show)
    if as_json:
        typer.echo(json.dumps([_record(s) for s in wanted], indent=1))
        return
    for path in paths:
        typer.echo(path)


@app.command("path")
def show_path(
    name: Annotated[str, typer.Argument(help="Name of a sample.")],
    as_json: Json = False,
) -> None:
    """Print where a sample is; fetch it first if it is not here."""
    wanted = sample(name)
    [path] = ensure([wanted])
    typer.echo(json.dumps(_record(wanted)) if as_json else path)


@app.command("generate")
def generate_sample(
    what: Annotated[Generator, typer.Argument(help="Which generator.")],
    events: Annotated[int, typer.Option(min=1, help="Number of events.")] = 4_000_000,
    seed: Annotated[int, typer.Option(min=0, help="Seed: same seed, same file.")] = 1,
    as_json: Json = False,
) -> None:
    """Write a seeded, made-up sample (once) and print where it is."""
    from facility.samples import dimuon  # uproot takes a second to import

    match what:
        case Generator.DIMUON:
            path = dimuon.generate(dimuon.DimuonParameters(events=events, seed=seed))
    record = {"path": str(path), "events": events, "seed": seed, "kind": "simulation"}
    typer.echo(json.dumps(record) if as_json else path)


def _record(one: Sample) -> dict[str, object]:
    return {
        "name": one.name,
        "title": one.title,
        "kind": one.kind.value,
        "experiment": one.experiment.value,
        "package": one.package.project,
        "version": one.package.version,
        "member": one.member,
        "sha256": one.sha256,
        "size_bytes": one.size_bytes,
        "licence": one.package.licence,
        "citation": one.citation,
        "path": str(location(one)) if is_cached(one) else None,
    }
