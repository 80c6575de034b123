"""``facility doctor``."""

from __future__ import annotations

import json
from dataclasses import asdict

import typer

from facility.cli.invocation import Json, directory_of
from facility.errors import ExitCode


def doctor(context: typer.Context, as_json: Json = False) -> None:
    """Check what this machine has; exit code 2 if something required is missing."""
    from facility.local.doctor import Verdict, examine
    from facility.local.lock import is_locked
    from facility.local.paths import Place
    from facility.spec.loading import load

    directory = directory_of(context)
    spec = load(directory)
    place = Place.of(directory)
    findings = examine(
        place.storage(spec.name, spec.storage.state),
        spec,
        is_running=is_locked(place.supervisor_lock),
    )
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        from rich.console import Console
        from rich.table import Table

        colours = {
            Verdict.OK: "green",
            Verdict.ABSENT: "yellow",
            Verdict.MISSING: "red",
        }
        table = Table("what", "", "found", "what its absence means", box=None)
        for one in findings:
            verdict = f"[{colours[one.verdict]}]{one.verdict}[/]"
            table.add_row(one.name, verdict, one.found, one.meaning)
        Console().print(table)
    if any(finding.verdict is Verdict.MISSING for finding in findings):
        raise typer.Exit(ExitCode.USAGE)
