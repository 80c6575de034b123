"""``facility snapshot``: what is, or would be, frozen."""

from __future__ import annotations

import json
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facility.cli.invocation import Json, given_directory
from facility.cli.quantities import seconds_of
from facility.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from offload.jobs.settings import Settings
    from offload.snapshot import LocalStore, Snapshot

app = typer.Typer(
    name="snapshot",
    help="What was frozen: show, verify, clean.",
    no_args_is_help=True,
    add_completion=False,
)

Which = Annotated[
    str, typer.Argument(help="A job's id, or an image: sha256:...", metavar="WHICH")
]


@app.command()
def create(
    context: typer.Context,
    prefix: Annotated[
        Path | None,
        typer.Option("--environment", help="Another Python environment's prefix."),
    ] = None,
    inputs: Annotated[
        list[Path] | None, typer.Option("--input", help="Also this file or folder.")
    ] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option("--allow", help="A file that may travel, secret or not."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Freeze what is in front of you, without a job."""
    import os

    from facility.cli.frozen_lines import size_words, warning_lines
    from facility.cli.job_progress import FreezeProgress
    from facility.client.offload_settings import load_settings
    from facility.client.working_environment import prefix_in_use
    from offload.snapshot import LocalStore, Request, freeze
    from offload.snapshot.selection.code import code_root

    settings = load_settings(given_directory(context))
    begin = time.monotonic()
    for path in inputs or ():
        if not path.exists():
            raise UsageError(f"--input {path}: no such file or folder")
    request = Request(
        root=code_root(Path.cwd(), Path.home()),
        prefix=prefix.absolute() if prefix is not None else prefix_in_use(os.environ),
        inputs=tuple(path.absolute() for path in inputs or ()),
        allow=tuple(allow or ()),
    )
    with FreezeProgress(enabled=not as_json) as progress:
        snapshot = freeze(
            request, LocalStore(settings.snapshots), progress=progress.show
        )
    seconds = time.monotonic() - begin
    if as_json:
        typer.echo(json.dumps({"id": snapshot.id, "image": snapshot.image}))
        return
    typer.echo(snapshot.image)
    for warning in warning_lines(snapshot):
        typer.echo(f"facility: {warning}", err=True)
    typer.echo(f"{size_words(snapshot)} frozen in {seconds:.2f} s", err=True)


@app.command()
def show(context: typer.Context, which: Which, as_json: Json = False) -> None:
    """Show what a snapshot is made of."""
    from facility.text import amount, counted, moment

    snapshot, _ = _find(_settings(context), which)
    if as_json:
        typer.echo(json.dumps(json.loads(snapshot.to_json()), indent=1))
        return
    base = snapshot.base
    typer.echo(f"identity  {snapshot.id}")
    typer.echo(f"image     {snapshot.image}")
    created = datetime.fromisoformat(snapshot.created).timestamp()
    typer.echo(f"frozen    {moment(created, time.time())}")
    typer.echo(
        f"base      {base.architecture}, {base.libc} {base.libc_version}, "
        f"Python {base.python_version or 'none'}"
    )
    width = max(9, *(len(part.role) for part in snapshot.parts))
    for part in snapshot.parts:
        layers = counted(len(part.layers), "layer")
        size = f"{counted(part.files, 'file')}, {amount(part.size)}, {layers}"
        typer.echo(f"{part.role:{width}} {part.mount}: {size}")
    for warning in snapshot.warnings:
        typer.echo(f"warning: {warning}")


@app.command()
def verify(context: typer.Context, which: Which, as_json: Json = False) -> None:
    """Read every byte of a snapshot; exit code 1 if something is not as it was."""
    from offload.snapshot import verify as check

    snapshot, store = _find(_settings(context), which)
    problems = check(snapshot, store)
    if as_json:
        typer.echo(json.dumps(problems, indent=1))
    elif problems:
        for problem in problems:
            typer.echo(problem)
    else:
        typer.echo(f"{snapshot.image} is whole")
    if problems:
        raise typer.Exit(ExitCode.FAILED)


@app.command()
def gc(
    context: typer.Context,
    older: Annotated[
        str | None,
        typer.Option(
            "--older-than",
            help="Not needed for: 7d (`offload.retention` of facility.yaml if not given).",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Delete snapshots that no job needs; agents do so once a day."""
    from facility.text import amount, counted
    from offload.jobs.cleaning import clean

    age_s = seconds_of("--older-than", older)
    done = clean(_settings(context), retention_s=age_s)
    if as_json:
        record = {"images": done.images, "blobs": done.blobs, "bytes": done.size}
        typer.echo(json.dumps(record))
    else:
        typer.echo(f"deleted {counted(done.images, 'snapshot')}, {amount(done.size)}")


def _settings(context: typer.Context) -> Settings:
    from facility.client.offload_settings import load_settings

    return load_settings(given_directory(context))


def _find(settings: Settings, which: str) -> tuple[Snapshot, LocalStore]:
    """Return a snapshot by its image, or by the job that was sent with it."""
    from offload.jobs import queries
    from offload.snapshot import LocalStore, load

    store = LocalStore(settings.snapshots)
    image = which
    if not which.startswith("sha256:"):
        image = queries.job(settings, which).image
    return load(image, store), store
