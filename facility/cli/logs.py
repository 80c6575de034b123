"""``facility logs``."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import typer

from facility.cli.invocation import Json, directory_of
from facility.errors import NotRunningError, UsageError

NAMES = ("hub", "gateway", "proxy", "gateway-proxy", "supervisor")
POLL_S = 0.2


def logs(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            help=f"One of {', '.join(NAMES)}, or server-USER.",
            autocompletion=lambda: list(NAMES),
        ),
    ],
    lines: Annotated[int, typer.Option("-n", "--lines", min=0, help="How many.")] = 50,
    follow: Annotated[
        bool, typer.Option("-f", "--follow", help="Go on until Ctrl-C.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show the last lines that a process has logged."""
    from facility.local.logs import last_lines, log_file
    from facility.local.paths import Place

    place = Place.of(directory_of(context))
    storage = place.last_storage()
    if storage is None:
        raise NotRunningError(f"no facility was ever started in {place.directory}")
    path = log_file(storage.log_dir, name)
    known = sorted(p.stem for p in storage.log_dir.glob("*.log"))
    if name not in known:
        raise UsageError(f"no log {name!r}: expected one of {', '.join(known)}")
    found = last_lines(path, lines)
    if as_json:
        typer.echo(json.dumps({"name": name, "path": str(path), "lines": found}))
        return
    for line in found:
        typer.echo(line)
    if follow:
        _follow(path)


def _follow(path: Path) -> None:
    """Print what is appended; after a rotation go on at the file's new beginning."""
    position = path.stat().st_size
    while True:
        size = path.stat().st_size
        if size < position:
            position = 0
        if size > position:
            with path.open("rb") as stream:
                stream.seek(position)
                new = stream.read()
            position += len(new)
            typer.echo(new.decode(errors="replace"), nl=False)
        time.sleep(POLL_S)
