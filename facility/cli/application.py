"""All commands together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facility.cli.demo import demo
from facility.cli.doctor import doctor
from facility.cli.invocation import Invocation
from facility.cli.lazy import LazyGroup, add_lazy_commands
from facility.cli.lifecycle import down, token, up
from facility.cli.logs import logs
from facility.cli.status import status
from facility.cli.version import version

app = typer.Typer(
    name="facility",
    cls=LazyGroup,
    help="An analysis facility, described by one file: facility.yaml.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def _root(
    context: typer.Context,
    directory: Annotated[
        Path,
        typer.Option(
            "--directory",
            "-C",
            help="Directory of the facility, where facility.yaml is.",
            file_okay=False,
            exists=True,
        ),
    ] = Path(),
) -> None:
    source = context.get_parameter_source("directory")
    is_given = source is not None and source.name != "DEFAULT"
    context.obj = Invocation(directory, is_given)


for _command in (up, down, status, logs, token, demo, doctor, version):
    app.command()(_command)
add_lazy_commands(app)
