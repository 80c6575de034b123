"""``facility up``, ``facility down`` and ``facility token``."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from facility.cli.absence import absence
from facility.cli.invocation import Json, directory_of, place_of
from facility.errors import NotRunningError
from facility.text import counted


def up(
    context: typer.Context,
    foreground: Annotated[
        bool,
        typer.Option("--foreground", help="Stay here until Ctrl-C, which ends it."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Start the facility of this directory and print the link to it."""
    from facility.cli.progress import StartProgress
    from facility.local.login import entrance
    from facility.local.start import start, start_in_foreground
    from facility.spec.loading import load

    directory = directory_of(context)
    spec = load(directory)
    if foreground:
        raise typer.Exit(
            start_in_foreground(
                directory, spec, lambda runtime: _print(entrance(runtime), as_json)
            )
        )
    try:
        with StartProgress(enabled=not as_json) as progress:
            started = start(directory, spec, progress.show)
    except KeyboardInterrupt:
        typer.echo("it may start in the background: `facility down` ends it", err=True)
        raise
    if as_json:
        record = {
            "url": started.runtime.public_url,
            "login": entrance(started.runtime),
            "id": started.runtime.id,
            "was_running": started.was_running,
            "restart_needed_for": started.changed,
            "seconds": round(started.seconds, 3),
        }
        typer.echo(json.dumps(record))
        return
    if started.was_running:
        typer.echo("it was running already", err=True)
    if started.changed:
        typer.echo(
            f"facility.yaml has changed ({', '.join(started.changed)}): "
            "`facility down` and `facility up` make it so",
            err=True,
        )
    typer.echo(entrance(started.runtime))


def down(context: typer.Context, as_json: Json = False) -> None:
    """Stop everything that belongs to the facility of this directory."""
    from facility.local.stop import stop

    stopped = stop(directory_of(context))
    if as_json:
        record = {
            "was_running": stopped.was_running,
            "ended": stopped.ended,
            "seconds": round(stopped.seconds, 3),
        }
        typer.echo(json.dumps(record))
    elif stopped.was_running or stopped.ended:
        processes = counted(stopped.ended, "process", "processes")
        typer.echo(f"stopped {processes} in {stopped.seconds:.1f} s")
    else:
        typer.echo(f"no facility was running in {directory_of(context).resolve()}")


def token(
    context: typer.Context,
    user: Annotated[
        str | None, typer.Option("--user", help="For whom; you, if not given.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Print a link that logs in once, within ten minutes."""
    from facility.local.login import login_link
    from facility.local.start import running_runtime

    place = place_of(context)
    runtime = running_runtime(place)
    if runtime is None:
        raise NotRunningError(absence(place))
    _print(login_link(runtime, user), as_json)


def _print(link: str, as_json: bool) -> None:
    typer.echo(json.dumps({"login": link}) if as_json else link)
