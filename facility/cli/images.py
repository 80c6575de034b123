"""``facility images``: what is published for every site, and what waits to be."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facility.cli.invocation import Json, directory_of, given_directory
from facility.cli.quantities import seconds_of
from facility.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from offload.cache.publishing.client import PublisherClient, Status

app = typer.Typer(
    name="images",
    help="Environments that every site can see: list, wait, keep, roll back.",
    no_args_is_help=True,
    add_completion=False,
)

Which = Annotated[
    str,
    typer.Argument(help="HOST/NAME:TAG, or an image: sha256:...", metavar="IMAGE"),
]
What = Annotated[
    str, typer.Option("--for", help="What it is, or was, kept for.", metavar="WHAT")
]
Named = Annotated[str, typer.Argument(help="HOST/NAME:TAG", metavar="NAME")]
_WIDE = 200


@app.command()
def init(context: typer.Context, as_json: Json = False) -> None:
    """Make keys and an empty repository; `facility up` does so, too."""
    from facility.local.paths import Place
    from facility.local.publishing import ensure_repository, repository_places
    from facility.spec import load

    directory = directory_of(context)
    spec = load(directory)
    if spec.publisher is None:
        raise UsageError(
            "facility.yaml has no publisher: add `publisher: {fqrn: NAME}`, with a name "
            "such as images.example.org"
        )
    storage = Place.of(directory).storage(spec.name, spec.storage.state)
    storage.ensure()
    places = repository_places(storage.state_dir, spec.publisher)
    is_new = ensure_repository(places, spec.publisher.fqrn)
    public = places.keys / f"{spec.publisher.fqrn}.pub"
    if as_json:
        record = {
            "fqrn": spec.publisher.fqrn,
            "folder": str(places.folder),
            "public_key": str(public),
            "is_new": is_new,
        }
        typer.echo(json.dumps(record))
        return
    typer.echo(
        f"{spec.publisher.fqrn} {'made' if is_new else 'is there already'}: "
        f"{places.folder}"
    )
    typer.echo(f"sites need this key, and may mount it then: {public}")


@app.command("list")
def list_images(context: typer.Context, as_json: Json = False) -> None:
    """List what is published, and what waits to be."""
    with _client(context) as client:
        found = client.images()
    if as_json:
        typer.echo(json.dumps([asdict(each) for each in found], indent=1))
        return
    if not found:
        typer.echo("nothing is published yet", err=True)
        return
    from rich.console import Console
    from rich.table import Table

    from facility.cli.image_lines import status_words
    from facility.cli.text import shown

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
    """Show one image; exit code 1 if it is not published."""
    with _client(context) as client:
        status = client.status(which)
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
    with _client(context) as client, PublishingProgress(enabled=not as_json) as bar:
        status = client.wait(which, timeout_s, bar.show)
    _end(status, as_json=as_json)


@app.command()
def pin(
    context: typer.Context,
    which: Which,
    uid: What = "by-hand",
    as_json: Json = False,
) -> None:
    """Keep an image, whatever becomes of its names, until `unpin`."""
    with _client(context) as client:
        image = _digest(client, which)
        client.pin(uid, image)
    _done({"image": image, "pin": uid}, f"{image} is kept for {uid}", as_json=as_json)


@app.command()
def unpin(
    context: typer.Context,
    which: Which,
    uid: What = "by-hand",
    as_json: Json = False,
) -> None:
    """Take back what `pin` said."""
    with _client(context) as client:
        image = _digest(client, which)
        removed = client.unpin(uid, image)
    line = f"{image} was {'kept' if removed else 'not kept'} for {uid}"
    _done({"image": image, "removed": removed}, line, as_json=as_json)


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
    with _client(context) as client:
        image = _digest(client, which)
        count = client.bundle(image, trace.read_bytes())
    line = f"{count} objects of {image} are fetched together from now on"
    _done({"image": image, "objects": count}, line, as_json=as_json)


@app.command()
def token(
    context: typer.Context,
    site: Annotated[str, typer.Argument(help="Name of a site.", metavar="SITE")],
) -> None:
    """Print what a site's cache shows to report what jobs read, and may do no more."""
    from facility.local.paths import Place
    from facility.spec import load
    from offload.cache.publishing.desk import secret_in
    from offload.cache.publishing.tokens import site_token

    directory = directory_of(context)
    spec = load(directory)
    state = Place.of(directory).storage(spec.name, spec.storage.state).state_dir
    typer.echo(site_token(site, secret_in(state / "secrets/publisher-tokens")))


@app.command()
def remove(context: typer.Context, name: Named, as_json: Json = False) -> None:
    """Take a name away; its image stays for the grace period, and while it is kept."""
    with _client(context) as client:
        client.remove(name)
    _done({"removed": name}, f"{name} is removed", as_json=as_json)


@app.command()
def retry(context: typer.Context, name: Named, as_json: Json = False) -> None:
    """Have a name looked at again: it was refused or set aside, or its event lost."""
    with _client(context) as client:
        client.look(name)
    _done({"retried": name}, f"{name} is looked at again", as_json=as_json)


@app.command()
def revisions(context: typer.Context, as_json: Json = False) -> None:
    """List the revisions that one can roll back to."""
    with _client(context) as client:
        found = client.revisions()
    if as_json:
        typer.echo(json.dumps(found, indent=1))
        return
    for each in found:
        typer.echo(f"{each['revision']:6}  {each['published']}  {each['tag']}")


@app.command()
def rollback(
    context: typer.Context,
    tag: Annotated[
        str, typer.Argument(help="As `revisions` lists it.", metavar="REVISION")
    ],
    as_json: Json = False,
) -> None:
    """Publish again what an earlier revision held, as the next revision."""
    if tag.isdecimal():
        tag = f"revision-{tag}"
    with _client(context) as client:
        revision = client.rollback(tag)
    line = f"revision {revision} holds what {tag} held"
    _done({"revision": revision}, line, as_json=as_json)


@app.command()
def gc(
    context: typer.Context,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be removed.")
    ] = False,
    at_once: Annotated[
        bool,
        typer.Option(
            "--now", help="Without grace, and with all revisions but the newest."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Remove what nothing refers to any more; the publisher does so every hour."""
    from facility.cli.image_lines import reasons
    from facility.cli.text import amount, shown

    with _client(context) as client:
        done = client.collect(dry_run=dry_run, at_once=at_once)
        if dry_run:
            now = time.time()
            done["kept"] = {
                str(each.image): reasons(each, now, done["names"])
                for each in client.images()
                if each.is_published and each.image not in done["images"]
            }
    verb = "would be removed" if dry_run else "removed"
    line = (
        f"{len(done['names'])} names, {len(done['images'])} images, "
        f"{len(done['layers'])} layers and {done['objects']} objects "
        f"({amount(done['freed'])}) {verb}; {done['waiting']} objects wait for the end "
        "of their grace period"
    )
    for image, why in done.get("kept", {}).items():
        line += shown(f"\n{image[7:19]} is kept by {'; '.join(why)}")
    _done(done, line, as_json=as_json)


@app.command()
def verify(
    context: typer.Context,
    limit: Annotated[
        str | None,
        typer.Option("--for", help="For so long at most; the next goes on: 10m."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Read all that is published, on the publisher's machine; exit code 1 if damaged."""
    from facility.cli.image_verification import verify as verify_images
    from facility.local.paths import Place
    from facility.local.publishing import repository_places
    from facility.spec import load

    directory = directory_of(context)
    spec = load(directory)
    if spec.publisher is None:
        raise UsageError("facility.yaml has no publisher: there is nothing to verify")
    state = Place.of(directory).storage(spec.name, spec.storage.state).state_dir
    places = repository_places(state, spec.publisher)
    seconds = seconds_of("--for", limit)
    fqrn = spec.publisher.fqrn
    verify_images(places.folder, places.keys, fqrn, seconds, as_json=as_json)


def _end(status: Status, *, as_json: bool) -> None:
    """Print what is known of an image; the exit code says whether it is published."""
    from facility.cli.image_lines import print_status

    print_status(status, as_json=as_json)
    if not status.is_published:
        raise typer.Exit(ExitCode.FAILED)


def _client(context: typer.Context) -> PublisherClient:
    from facility.client.offload_settings import load_settings
    from offload.cache.publishing.client import PublisherClient

    settings = load_settings(given_directory(context))
    if settings.publisher is None:
        raise UsageError(
            "this facility publishes nothing: add `publisher` to facility.yaml, and "
            "start it again"
        )
    return PublisherClient(settings.publisher, _token(settings.publisher_token))


def _token(path: Any) -> str | None:
    """Return the person's token; None if he has none, or may not read it."""
    from offload.cache.publishing.tokens import read_token

    return None if path is None else read_token(path.expanduser())


def _digest(client: PublisherClient, which: str) -> str:
    if which.startswith("sha256:"):
        return which
    status = client.status(which)
    if status.image is None:
        raise UsageError(f"{which} means no image; `facility images list` shows all")
    return status.image


def _done(record: dict[str, Any], line: str, *, as_json: bool) -> None:
    typer.echo(json.dumps(record) if as_json else line)
