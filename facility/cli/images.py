"""``facility images``: what is published for every site, and what waits to be."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facility.cli.image_administration import add_to
from facility.cli.image_asking import (
    What,
    Which,
    connect,
    digest_of,
    named,
    publisher_here,
    tell,
)
from facility.cli.invocation import Json, given_directory
from facility.cli.quantities import seconds_of
from facility.errors import ExitCode
from facility.text import counted, shown

if TYPE_CHECKING:
    from offload.cache.publishing.client import Status
    from offload.jobs.publications import Publication

app = typer.Typer(
    name="images",
    help="Environments that every site can see: list, wait, keep, roll back.",
    no_args_is_help=True,
    add_completion=False,
)

_WIDE = 200


@app.command()
def init(context: typer.Context, as_json: Json = False) -> None:
    """Make keys and an empty repository; `facility up` does so, too."""
    from facility.local.publishing import ensure_repository, repository_places

    publisher, storage = publisher_here(context)
    storage.ensure()
    places = repository_places(storage.state_dir, publisher)
    is_new = ensure_repository(places, publisher.fqrn)
    public = places.keys / f"{publisher.fqrn}.pub"
    if as_json:
        record = {
            "fqrn": publisher.fqrn,
            "folder": str(places.folder),
            "public_key": str(public),
            "is_new": is_new,
        }
        typer.echo(json.dumps(record))
        return
    typer.echo(
        f"{publisher.fqrn} {'made' if is_new else 'is there already'}: {places.folder}"
    )
    typer.echo(f"sites need this key, and may mount it then: {public}")


@app.command("list")
def list_images(context: typer.Context, as_json: Json = False) -> None:
    """List what is published, and what waits to be."""
    with connect(context) as client:
        found = client.images()
    mine = _of_ones_own(context)
    if as_json:
        typer.echo(json.dumps(_records(found, mine), indent=1))
        return
    for line in _lines(found, mine):
        typer.echo(line, err=True)
    if not found:
        typer.echo("nothing is published yet", err=True)
        return
    from rich.console import Console
    from rich.table import Table

    from facility.cli.image_lines import status_words

    table = Table(box=None, pad_edge=False)
    for heading in ("image", "state", "names"):
        table.add_column(heading, overflow="fold")
    for status in found:
        name = "-" if status.image is None else status.image[7:19]
        names = ", ".join(status.names) or "-"
        table.add_row(name, shown(status_words(status)), shown(names))
    width = None if sys.stdout.isatty() else _WIDE
    Console(width=width, markup=False, highlight=False).print(table)


@app.command()
def show(context: typer.Context, which: Which, as_json: Json = False) -> None:
    """Show one image, also one's own; exit code 1 if it is not published."""
    with connect(context) as client:
        held = _held_back(client.images(), _of_ones_own(context))
        own = {str(each.image): each for each in held}
        image = named(client, which, own)
        status = own.get(image) or client.status(image)
    _end(status, as_json=as_json)


@app.command()
def wait(
    context: typer.Context,
    which: Which,
    timeout: Annotated[
        str, typer.Option("--timeout", help="For so long at most: 30s, 10m.")
    ] = "10m",
    as_json: Json = False,
) -> None:
    """Wait until an image is published; exit code 1 if it is refused, or not in time."""
    from facility.cli.job_progress import PublishingProgress

    timeout_s = seconds_of("--timeout", timeout)
    assert timeout_s is not None
    with connect(context) as client, PublishingProgress(enabled=not as_json) as bar:
        status = client.wait(named(client, which), timeout_s, bar.show)
    _end(status, as_json=as_json)


@app.command()
def pin(
    context: typer.Context,
    which: Which,
    uid: What = "by-hand",
    as_json: Json = False,
) -> None:
    """Keep an image, whatever becomes of its names, until `unpin`."""
    _check_need(uid)
    with connect(context) as client:
        image = digest_of(client, which)
        client.pin(uid, image)
    tell({"image": image, "pin": uid}, f"{image} is kept: pin {uid}", as_json=as_json)


@app.command()
def unpin(
    context: typer.Context,
    which: Which,
    uid: What = "by-hand",
    of_everybody: Annotated[
        bool,
        typer.Option(
            "--of-everybody", help="All pins and leases of it (administrators)."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Take back what `pin` said."""
    _check_need(uid)
    with connect(context) as client:
        image = digest_of(client, which)
        removed = client.release(image) if of_everybody else client.unpin(uid, image)
    line = f"{image}: {'taken back' if removed else 'there was no'} pin {uid}"
    if of_everybody:
        held = counted(removed, "pin or lease", "pins and leases")
        line = f"{image}: {held} taken back"
    tell({"image": image, "removed": removed}, line, as_json=as_json)


@app.command()
def bundle(
    context: typer.Context,
    which: Which,
    trace: Annotated[
        Path,
        typer.Argument(
            help="What jobs have read, as a site's cache wrote it: traces/HEX.",
            metavar="TRACE",
            dir_okay=False,
            exists=True,
        ),
    ],
    as_json: Json = False,
) -> None:
    """Let the next cold start fetch what earlier ones opened as one file."""
    with connect(context) as client:
        image = digest_of(client, which)
        count = client.bundle(image, trace.read_bytes())
    line = f"{counted(count, 'object')} of {image} fetched together from now on"
    tell({"image": image, "objects": count}, line, as_json=as_json)


def _check_need(uid: str) -> None:
    from offload.cache.publishing.pins import check_uid

    check_uid(uid)


def _of_ones_own(context: typer.Context) -> list[Publication]:
    """Return which of one's own environments are published, or are to be."""
    from facility.client.offload_settings import load_settings
    from offload.jobs.queries import opened

    settings = load_settings(given_directory(context))
    if not settings.ledger.exists():
        return []
    with opened(settings) as ledger:
        return ledger.publications.all()


def _held_back(found: Collection[Status], mine: Iterable[Publication]) -> list[Status]:
    """Return one's own images that the publisher does not have, and why."""
    from offload.cache.publishing.status import ImageState, Status

    there = {each.image for each in found}
    return [
        Status(
            ImageState.REFUSED if each.is_refused else ImageState.WAITING,
            each.image,
            detail=each.detail,
        )
        for each in mine
        if not each.is_handed_over and each.there not in there
    ]


def _records(
    found: Collection[Status], mine: Collection[Publication]
) -> list[dict[str, Any]]:
    """Return all for programs; ``yours`` are one's own images that each stands for."""
    return [
        asdict(each) | {"yours": [one.image for one in mine if one.there == each.image]}
        for each in found
    ] + [asdict(each) | {"yours": [each.image]} for each in _held_back(found, mine)]


def _lines(found: Collection[Status], mine: Collection[Publication]) -> list[str]:
    """Say which of one's own environments are not published, or not all of them."""
    waiting = [
        shown(
            f"{str(each.image)[7:19]} (yours) is not published"
            f"{f': {each.detail}' if each.detail else ' yet'}"
        )
        for each in _held_back(found, mine)
    ]
    become = {
        each.image: "is published as" if each.is_published else "is to be published as"
        for each in found
        if each.image is not None
    }
    return waiting + [
        f"{each.image[7:19]} (yours) {become[each.published]} "
        f"{each.published[7:19]}: what no public index gives out travels with your jobs"
        for each in mine
        if each.published in become
    ]


def _end(status: Status, *, as_json: bool) -> None:
    """Print what is known of an image; the exit code says whether it is published."""
    from facility.cli.image_lines import print_status

    print_status(status, as_json=as_json)
    if not status.is_published:
        raise typer.Exit(ExitCode.FAILED)


add_to(app)
