"""``facility submit``: what is in front of the person becomes a job elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facility.cli.invocation import Json, given_directory
from facility.cli.quantities import bytes_of, seconds_of
from facility.errors import UsageError

if TYPE_CHECKING:
    from facility.client.submission import Submitted
    from offload.jobs.settings import Settings

app = typer.Typer(add_completion=False)

_EXAMPLES = """
Run a command, or execute a notebook, somewhere else: with the files, the environment and
the folder that are in front of you now.

    facility submit -- python train.py --epochs 3

    facility submit analysis.ipynb

    facility submit --site slurm --slice 1g.5gb --time 30m --outputs 'results/**' ./run.sh
"""


@app.command(
    help=_EXAMPLES,
    # What comes after the program's name is the program's.
    context_settings={"allow_interspersed_args": False},
)
def submit(
    context: typer.Context,
    *,
    command: Annotated[
        list[str] | None,
        typer.Argument(
            help="Program and arguments (after --), or a notebook.", metavar="COMMAND"
        ),
    ] = None,
    site: Annotated[
        str | None, typer.Option("--site", help="Where; any legal site if not given.")
    ] = None,
    slice_: Annotated[
        str | None, typer.Option("--slice", help="Share of a GPU: 1g.5gb, or gpu.")
    ] = None,
    time: Annotated[
        str | None, typer.Option("--time", help="The longest it may run: 30m, 2h.")
    ] = None,
    memory: Annotated[
        str | None, typer.Option("--memory", help="Memory of each node: 2G.")
    ] = None,
    cpus: Annotated[
        int | None, typer.Option("--cpus", help="CPU cores of each task.")
    ] = None,
    nodes: Annotated[int | None, typer.Option("--nodes", help="Machines.")] = None,
    tasks: Annotated[
        int | None, typer.Option("--tasks", help="MPI ranks, over all nodes.")
    ] = None,
    count: Annotated[
        int | None,
        typer.Option("--count", help="So many equal jobs, numbered from 0 on."),
    ] = None,
    after: Annotated[
        list[str] | None, typer.Option("--after", help="Only once JOB succeeded.")
    ] = None,
    outputs: Annotated[
        list[str] | None,
        typer.Option("--outputs", help="Files to merge back here: 'results/**'."),
    ] = None,
    inputs: Annotated[
        list[Path] | None,
        typer.Option("--input", help="A file or folder to take along, code or not."),
    ] = None,
    credentials: Annotated[
        list[str] | None,
        typer.Option(
            "--with-credential",
            help="A file of ~/.config/analysis-facility/credentials, by name.",
        ),
    ] = None,
    variables: Annotated[
        list[str] | None, typer.Option("--env", help="NAME=VALUE for the job.")
    ] = None,
    prefix: Annotated[
        Path | None,
        typer.Option("--environment", help="Another Python environment's prefix."),
    ] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option("--allow", help="A file that may travel, secret or not."),
    ] = None,
    flags: Annotated[
        str | None, typer.Option("--flags", help="More options for the batch system.")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="What you call it.")
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until its outputs are in place.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Submit a job (the help is above)."""
    from facility.cli.job_progress import FreezeProgress
    from facility.client.offload_settings import load_settings
    from facility.client.submission import Wanted
    from facility.client.submission import submit as send

    settings = load_settings(given_directory(context))
    options: dict[str, object] = {
        "site": site,
        "slice": slice_,
        "time_s": seconds_of("--time", time),
        "memory_bytes": bytes_of("--memory", memory),
        "cpus": cpus,
        "nodes": nodes,
        "tasks": tasks if tasks is not None else nodes,
        "count": count,
        "after": tuple(after or ()),
        "outputs": tuple(outputs or ()),
        "credentials": tuple(credentials or ()),
        "environment": dict(map(_variable, variables or ())),
        "flags": flags,
        "name": name,
    }
    wanted = Wanted(
        command=tuple(command or ()),
        folder=Path.cwd(),
        prefix=_prefix(prefix),
        inputs=tuple(inputs or ()),
        allow=tuple(allow or ()),
        options={key: value for key, value in options.items() if value is not None},
    )
    with FreezeProgress(enabled=not as_json) as progress:
        done = send(wanted, settings, progress.show)
    if as_json:
        typer.echo(json.dumps({"id": str(done.id)}))
    else:
        _tell(done, settings, will_wait=wait)
    if wait:
        from facility.cli.waiting import wait_for

        raise typer.Exit(wait_for(settings, str(done.id), as_json=False, quiet=as_json))


def _tell(done: Submitted, settings: Settings, *, will_wait: bool) -> None:
    from facility.cli.frozen_lines import size_words, warning_lines
    from offload.jobs import queries
    from offload.jobs.wake import NOBODY

    for warning in warning_lines(done.snapshot):
        typer.echo(f"facility: {warning}", err=True)
    what = size_words(done.snapshot)
    typer.echo(f"job {done.id}: {what} frozen in {done.seconds:.2f} s")
    if queries.job(settings, str(done.id)).waiting == NOBODY:
        typer.echo(f"facility: job {done.id}: {NOBODY}", err=True)
    elif not will_wait:
        typer.echo(
            f"`facility wait {done.id}` waits for its outputs, `facility logs {done.id} "
            "-f` shows what it prints; you may log out",
            err=True,
        )


def _prefix(given: Path | None) -> Path | None:
    import os

    from facility.client.working_environment import prefix_in_use

    if given is None:
        return prefix_in_use(os.environ)
    if not (given / "bin/python").exists():
        raise UsageError(
            f"--environment {given}: expected the prefix of a Python environment, got "
            "a place without bin/python"
        )
    return given.absolute()


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise UsageError(f"--env: expected NAME=VALUE, got {text[:60]!r}")
    return name, value
