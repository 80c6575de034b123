"""``facility logs``: of a part of the facility, or of a job."""

from __future__ import annotations

import json
import sys
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facility.cli.absence import absence
from facility.cli.invocation import Json, given_directory, place_of
from facility.cli.quantities import seconds_of
from facility.errors import NotRunningError, UsageError

if TYPE_CHECKING:
    from offload.jobs.settings import Settings

NAMES = ("hub", "gateway", "proxy", "gateway-proxy", "agents", "link", "supervisor")
POLL_S = 0.2
LINES = 50
"""Of a part of the facility, if nobody says how many; of a job, all."""


def logs(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            help=f"One of {', '.join(NAMES)}, or server-USER; or a job: 42, 42.7.",
            autocompletion=lambda: list(NAMES),
        ),
    ],
    lines: Annotated[
        int | None,
        typer.Option("-n", "--lines", "--tail", min=0, help="The last so many."),
    ] = None,
    follow: Annotated[
        bool,
        typer.Option("-f", "--follow", help="Go on: until Ctrl-C, or the job's end."),
    ] = False,
    since: Annotated[
        str | None, typer.Option("--since", help="A job's last: 10m, 2h.")
    ] = None,
    previous: Annotated[
        bool,
        typer.Option("--previous", help="A job's run before it was requeued."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Show what a process of the facility, or a job, has logged."""
    if name[:1].isdecimal():
        _job(context, name, lines, follow, since, previous, as_json=as_json)
        return
    if since is not None or previous:
        raise UsageError("--since and --previous are for jobs: expected a job's id")
    _part(context, name, LINES if lines is None else lines, follow, as_json=as_json)


def _part(
    context: typer.Context, name: str, lines: int, follow: bool, *, as_json: bool
) -> None:
    from facility.local.logs import last_lines, log_file

    place = place_of(context)
    storage = place.last_storage()
    if storage is None:
        raise NotRunningError(absence(place))
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


def _job(
    context: typer.Context,
    name: str,
    lines: int | None,
    follow: bool,
    since: str | None,
    previous: bool,
    *,
    as_json: bool,
) -> None:
    from facility.client.offload_settings import load_settings
    from offload.jobs import queries

    is_part = lines is not None or since is not None or previous
    if follow and (is_part or as_json):
        raise UsageError(
            "--follow shows everything from the beginning: leave --tail, --since, "
            "--previous and --json out"
        )
    settings = load_settings(given_directory(context))
    if follow:
        _until_at_site(settings, name)
    chunks = queries.logs(
        settings,
        name,
        follow=follow,
        since_s=seconds_of("--since", since),
        previous=previous,
    )
    if follow:
        for chunk in chunks:
            sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
        return
    if as_json:
        text = b"".join(chunks).decode(errors="replace")
        found = text.splitlines()
        shown = found if lines is None else found[len(found) - min(lines, len(found)) :]
        typer.echo(json.dumps({"name": name, "lines": shown}))
        return
    sys.stdout.flush()
    for chunk in chunks if lines is None else _last(chunks, lines):
        sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()


def _until_at_site(settings: Settings, name: str) -> None:
    """Wait until a site has the job: before, nobody has a log of it."""
    from facility.cli.job_lines import waiting_line
    from offload.jobs import queries

    told = ""
    for job in queries.changes(settings, name):
        if job.is_done or job.stage.is_at_site:
            return
        if (waiting := waiting_line(job, time.time())) and waiting != told:
            told = waiting
            typer.echo(waiting, err=True)


def _last(chunks: Iterator[bytes], count: int) -> deque[bytes]:
    """Return the last lines, byte for byte, without keeping the rest."""
    kept: deque[bytes] = deque(maxlen=count)
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        kept.extend(line + b"\n" for line in whole)
    if rest:
        kept.append(rest)
    return kept
