"""``facility environment``: what a Python environment is made of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from facility.cli.invocation import Json
from facility.environment import (
    Environment,
    NoInterpreterError,
    describe,
    difference,
)
from facility.errors import UsageError

app = typer.Typer(
    name="environment",
    help="What this Python environment is made of, and how it differs from another.",
    no_args_is_help=True,
    add_completion=False,
)

Prefix = Annotated[
    Path | None,
    typer.Option("--prefix", help="Another environment; this one if not given."),
]


@app.command()
def show(prefix: Prefix = None, as_json: Json = False) -> None:
    """Show Python, machine, C library and every distribution with its origin."""
    environment = _described(prefix)
    if as_json:
        record = json.loads(environment.to_json())
        typer.echo(json.dumps({"digest": environment.digest, **record}, indent=1))
        return
    typer.echo(
        f"{environment.implementation} {environment.python}, {environment.machine}, "
        f"{environment.libc}, {environment.prefix}"
    )
    typer.echo(environment.digest)
    table = Table("distribution", "version", "origin", "contents", box=None)
    for name, one in environment.distributions.items():
        contents = one.contents or ""
        table.add_row(name, one.version, one.origin, contents[:12])
    Console(soft_wrap=True).print(table)


@app.command()
def diff(
    mine: Annotated[Path, typer.Argument(help="Prefix, or file from `show --json`.")],
    theirs: Annotated[Path, typer.Argument(help="Prefix, or file likewise.")],
    as_json: Json = False,
) -> None:
    """Show what differs between two environments, one line each."""
    found = difference(_read(mine), _read(theirs))
    lines = found.lines(f"in {mine}", f"in {theirs}")
    if as_json:
        typer.echo(json.dumps({"same": found.is_empty, "lines": lines}, indent=1))
        return
    for line in lines or ["no difference"]:
        typer.echo(line)


def _described(prefix: Path | None) -> Environment:
    try:
        return describe(prefix)
    except NoInterpreterError as error:
        raise UsageError(str(error)) from None


def _read(place: Path) -> Environment:
    if not place.is_file():
        return _described(place)
    try:
        return Environment.from_json(place.read_bytes())
    except ValueError as error:
        raise UsageError(f"{place}: {error}") from None
