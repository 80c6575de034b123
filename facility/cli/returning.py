"""``facility fetch`` and ``facility diff``: what a job brought, what it was sent with."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facility.cli.invocation import Json, given_directory
from facility.errors import FacilityError, UsageError

if TYPE_CHECKING:
    from offload.jobs.model import Job
    from offload.jobs.settings import Settings
    from offload.snapshot import Snapshot

fetch_app = typer.Typer(add_completion=False)
diff_app = typer.Typer(add_completion=False)

FETCH_S = 600.0
"""What is on its way home by then is waited for."""
_NOTHING = "none"


@fetch_app.command()
def fetch(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Its id.", metavar="JOB")],
    to: Annotated[
        Path | None, typer.Option("--to", help="Copy them into this folder, too.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Have the outputs and logs of an ended job here, and say where they are."""
    from facility.client.offload_settings import load_settings

    settings = load_settings(given_directory(context))
    job = _ended(settings, name)
    folder = settings.folder(job.id)
    files = sorted(p for p in folder.rglob("*") if p.is_file() or p.is_symlink())
    if to is not None:
        if to.exists() and not to.is_dir():
            raise UsageError(f"--to {to}: expected a folder, got a file")
        shutil.copytree(folder, to, symlinks=True, dirs_exist_ok=True)
        files = [to / path.relative_to(folder) for path in files]
        folder = to
    if as_json:
        record = {"folder": str(folder), "files": [str(path) for path in files]}
        typer.echo(json.dumps(record, indent=1))
        return
    typer.echo(folder)
    for path in files:
        typer.echo(f"  {path.relative_to(folder)}")


def _ended(settings: Settings, name: str) -> Job:
    """Return a job whose outputs are here; waits for those that are on their way."""
    from facility.cli.job_progress import JobProgress
    from offload.jobs import queries
    from offload.jobs.stages import Stage
    from offload.jobs.wake import wake

    job = queries.job(settings, name)
    if job.is_done:
        return job
    if job.counts.get(Stage.RETURNING, 0) == 0:
        raise UsageError(
            f"job {name} is {job.stage.value}: outputs come when it has ended; "
            f"`facility wait {name}` waits for that"
        )
    wake(settings)  # not only when its back-off ends
    with JobProgress(enabled=True) as progress:
        try:
            return queries.wait(
                settings, name, timeout_s=FETCH_S, on_change=progress.show
            )
        except TimeoutError:
            job = queries.job(settings, name)
            why = f": {job.waiting}" if job.waiting else ""
            raise FacilityError(
                f"job {name}: its outputs are not here yet{why}; they come by themselves"
            ) from None


@diff_app.command()
def diff(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Its id.", metavar="JOB")],
    as_json: Json = False,
) -> None:
    """Show what has changed here since a job was frozen."""
    from facility.client.offload_settings import load_settings
    from offload.jobs import queries
    from offload.snapshot import LocalStore, load

    settings = load_settings(given_directory(context))
    job = queries.job(settings, name)
    store = LocalStore(settings.snapshots)
    snapshot = load(job.image, store)
    found = differences(snapshot, store)
    if as_json:
        typer.echo(json.dumps(found, indent=1))
        return
    for role, changes in found.items():
        part = snapshot.part(role)
        assert part is not None
        for sign, key in (("+", "added"), ("~", "changed"), ("-", "removed")):
            for path in changes[key]:
                typer.echo(f"{sign} {part.mount}/{path}")
    if not any(any(changes.values()) for changes in found.values()):
        typer.echo(f"nothing has changed since job {job.id} was frozen")


def differences(snapshot: Snapshot, store: Any) -> dict[str, dict[str, list[str]]]:
    """Return added, changed and removed paths of each part.

    Byte code is no change: Python makes it again of what is compared.
    """
    from offload.snapshot import changes_since
    from offload.snapshot.bytecode import is_bytecode

    found = {}
    for part in snapshot.parts:
        if is_bytecode(part.role):
            continue
        if not Path(part.mount).exists():
            found[part.role] = {"added": [], "changed": [], "removed": ["."]}
            continue
        change = changes_since(snapshot, store, part.role)
        found[part.role] = {
            key: [_shown(path) for path in getattr(change, key)]
            for key in ("added", "changed", "removed")
        }
    return found


def _shown(path: bytes) -> str:
    """Write a name so that a terminal, and JSON, can take it."""
    text = path.decode(errors="surrogateescape")
    return text if text.isprintable() else ascii(text)[1:-1]
