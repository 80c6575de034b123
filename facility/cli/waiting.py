"""``facility wait`` and ``facility cancel``."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Annotated

import typer

from facility.cli.invocation import Json, given_directory
from facility.cli.quantities import seconds_of
from facility.errors import ExitCode

if TYPE_CHECKING:
    from offload.jobs.model import Job
    from offload.jobs.settings import Settings

_LAST_LINES = 10
_MOST_BYTES = 4096
"""Of a log: one line may be as long as all of it."""

wait_app = typer.Typer(add_completion=False)
cancel_app = typer.Typer(add_completion=False)


@wait_app.command()
def wait(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Its id.", metavar="JOB")],
    timeout: Annotated[
        str | None,
        typer.Option("--timeout", help="Give up after: 30m. The job goes on."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Wait until the outputs of a job are in place; its exit code is the command's.

    1 if it ended in another way than by exiting: cancelled, out of time or memory, lost.
    """
    from facility.client.offload_settings import load_settings

    settings = load_settings(given_directory(context))
    seconds = seconds_of("--timeout", timeout)
    raise typer.Exit(wait_for(settings, name, as_json=as_json, timeout_s=seconds))


def wait_for(
    settings: Settings,
    name: str,
    *,
    as_json: bool,
    quiet: bool = False,
    timeout_s: float | None = None,
) -> int:
    """Wait and say how it ended; return the exit code that says so."""
    from facility.cli.job_lines import job_json, outcome_words
    from facility.cli.job_progress import JobProgress
    from facility.text import shown
    from offload.jobs import queries

    try:
        with JobProgress(enabled=not as_json and not quiet) as progress:
            queries.wait(settings, name, timeout_s=timeout_s, on_change=progress.show)
    except TimeoutError as error:
        typer.echo(f"facility: {error}", err=True)
        return ExitCode.FAILED
    job = queries.job(settings, name, with_elements=True)
    if as_json:
        typer.echo(json.dumps(job_json(job), indent=1))
    elif not quiet:
        folder = settings.folder(job.id)
        typer.echo(f"job {job.id} {outcome_words(job)}; outputs and logs: {folder}")
        if exit_code_of(job):
            _tell_last_lines(settings, job)
        for element in job.elements:
            for line in element.report:
                typer.echo(shown(line))
    return exit_code_of(job)


def _tell_last_lines(settings: Settings, job: Job) -> None:
    """Show the end of the log of what failed first: most often it says why."""
    from facility.text import shown
    from offload.jobs import queries
    from offload.jobs.errors import JobsError

    failed = [e for e in job.elements if e.exit_code] or list(job.elements)
    if not failed:
        return
    name = str(failed[0].name)
    text = b""
    # A log that cannot be had is no reason not to say how the job ended.
    with contextlib.suppress(JobsError, OSError):
        for chunk in queries.logs(settings, name):
            text = (text + chunk)[-_MOST_BYTES:]
    lines = text.decode(errors="replace").rstrip().splitlines()[-_LAST_LINES:]
    if lines:
        typer.echo(f"the last lines of `facility logs {name}`:", err=True)
        for line in lines:
            typer.echo(f"  {shown(line)}", err=True)
    else:
        typer.echo(f"it printed nothing (`facility logs {name}`)", err=True)


def exit_code_of(job: Job) -> int:
    """Return 0 for success, the program's own exit code, or 1."""
    if job.outcome is None or job.outcome.value == "succeeded":
        return 0
    codes = [e.exit_code for e in job.elements if e.exit_code]
    return codes[0] if codes and 0 < codes[0] < 256 else ExitCode.FAILED


@cancel_app.command()
def cancel(
    context: typer.Context,
    names: Annotated[
        list[str],
        typer.Argument(help="Ids: 42, or 42.7 for one of many.", metavar="JOB"),
    ],
    as_json: Json = False,
) -> None:
    """End jobs; what they have written so far comes back."""
    from facility.client.offload_settings import load_settings
    from offload.jobs import queries

    settings = load_settings(given_directory(context))
    for name in names:  # all or none: a typo must not cancel half a list
        queries.job(settings, name)
    changed = {name: queries.cancel(settings, name) for name in names}
    if as_json:
        typer.echo(json.dumps(changed))
        return
    for name, was_running in changed.items():
        typer.echo(
            f"job {name} is being cancelled" if was_running else f"job {name} had ended"
        )
