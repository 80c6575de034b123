"""``facility jobs``."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from facility.cli.invocation import Json, given_directory

if TYPE_CHECKING:
    from offload.jobs.model import Job

app = typer.Typer(add_completion=False)
WIDE = 200


@app.command()
def jobs(
    context: typer.Context,
    name: Annotated[
        str | None, typer.Argument(help="One job in detail.", metavar="JOB")
    ] = None,
    limit: Annotated[
        int, typer.Option("-n", "--limit", min=1, help="The newest so many.")
    ] = 20,
    as_json: Json = False,
) -> None:
    """List your jobs, newest first, with what waits for what."""
    from facility.client.offload_settings import load_settings
    from offload.jobs import queries

    settings = load_settings(given_directory(context))
    if name is not None:
        job = queries.job(settings, name, with_elements=True)
        _print_json(job) if as_json else _print_one(job, settings.folder(job.id))
        return
    found = queries.jobs(settings, limit=limit)
    if as_json:
        from facility.cli.job_lines import job_json

        typer.echo(json.dumps([job_json(job) for job in found], indent=1))
    elif not found:
        typer.echo("no jobs yet: `facility submit -- COMMAND` makes one", err=True)
    else:
        _print_table(found)


def _print_json(job: Job) -> None:
    from facility.cli.job_lines import job_json

    typer.echo(json.dumps(job_json(job), indent=1))


def _print_table(found: list[Job]) -> None:
    from rich.console import Console
    from rich.table import Table

    from facility.cli.job_lines import state_words, waiting_line
    from facility.text import duration

    now = time.time()
    table = Table(box=None, pad_edge=False)
    table.add_column("job", justify="right", no_wrap=True)
    for heading in ("what", "site", "state"):
        table.add_column(heading)
    table.add_column("age", justify="right", no_wrap=True)
    for job in found:
        table.add_row(
            str(job.id),
            _shortened(job.spec.title),
            job.site or "-",
            state_words(job),
            duration(now - min(job.times.values(), default=now)),
        )
    # A pipe or a file is as wide as it must be; rich would take it for 80 columns.
    console = Console(
        width=None if sys.stdout.isatty() else WIDE, markup=False, highlight=False
    )
    console.print(table)
    for job in found:
        if waiting := waiting_line(job, now):
            console.print(f"job {job.id} is {waiting}", soft_wrap=True)


def _print_one(job: Job, folder: object) -> None:
    from facility.cli.job_lines import outcome_words, stage_lines, waiting_line
    from facility.text import shown

    typer.echo(f"job {job.id}: {job.spec.title}")
    typer.echo(f"snapshot     {job.image}")
    for _, line in stage_lines(job):
        typer.echo(line)
    if waiting := waiting_line(job, time.time()):
        typer.echo(waiting)
    if job.is_done:
        typer.echo(f"{outcome_words(job)}; outputs and logs: {folder}")
    for warning in job.warnings:
        typer.echo(f"warning: {warning}")
    for element in job.elements:
        for line in element.report:
            where = f"{job.id}.{element.index}: " if job.spec.count > 1 else ""
            typer.echo(f"{where}{shown(line)}")


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 40 else f"{line[:37]}..."
