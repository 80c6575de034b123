"""``facility config``: show, check and describe ``facility.yaml``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from facility.cli.invocation import Json, directory_of
from facility.errors import ExitCode
from facility.spec import FILE_NAME, SpecError, dumps, load, schema

app = typer.Typer(
    name="config",
    help="Show and check facility.yaml, or its schema.",
    no_args_is_help=True,
    add_completion=False,
)


@app.command()
def show(context: typer.Context, as_json: Json = False) -> None:
    """Show what is in force: the file, and defaults where it says nothing.

    As YAML with units, or as JSON with bytes and seconds.
    """
    facility = load(directory_of(context))
    if as_json:
        typer.echo(facility.model_dump_json(indent=1))
    else:
        typer.echo(dumps(facility), nl=False)


@app.command()
def check(
    context: typer.Context,
    file: Annotated[
        Path | None,
        typer.Argument(help=f"The file; {FILE_NAME} of the directory if not given."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check a file: every problem in a line of its own, and exit code 2."""
    place = file if file is not None else directory_of(context)
    problems = []
    try:
        facility = load(place)
    except SpecError as error:
        problems = list(error.problems)
    if as_json:
        typer.echo(json.dumps([asdict(problem) for problem in problems], indent=1))
    elif problems:
        for problem in problems:
            typer.echo(problem)
    else:
        what = place / FILE_NAME if place.is_dir() else place
        defaults = "" if what.exists() else " is absent, so all defaults hold:"
        typer.echo(f"{what}{defaults or ':'} facility {facility.name!r} is fine")
    if problems:
        raise typer.Exit(ExitCode.USAGE)


@app.command("schema")
def print_schema() -> None:
    """Print the JSON Schema (Draft 2020-12), for editors."""
    typer.echo(json.dumps(schema(), indent=1))
