"""What who runs a publisher does: names, revisions, what is removed and verified."""

from __future__ import annotations

import json
import time
from datetime import datetime
from typing import Annotated

import typer

from facility.cli.image_asking import Named, connect, publisher_here, tell
from facility.cli.invocation import Json
from facility.cli.quantities import seconds_of
from facility.errors import NotRunningError, UsageError


def add_to(app: typer.Typer) -> None:
    """Add the commands to those of ``facility images``."""
    for command in (token, remove, retry, revisions, rollback, gc, verify):
        app.command()(command)


def token(
    context: typer.Context,
    site: Annotated[str, typer.Argument(help="Name of a site.", metavar="SITE")],
    as_json: Json = False,
) -> None:
    """Print what a site's cache shows to report what jobs read, and may do no more."""
    from offload.cache.publishing.desk import secret_in
    from offload.cache.publishing.tokens import site_token

    _, storage = publisher_here(context)
    key = storage.secrets_dir / "publisher-tokens"
    if not key.exists():
        raise NotRunningError(f"{key} is made by the first `facility up`")
    shown = site_token(site, secret_in(key))
    tell({"site": site, "token": shown}, shown, as_json=as_json)


def remove(context: typer.Context, name: Named, as_json: Json = False) -> None:
    """Take a name away; its image stays for the grace period, and while it is kept."""
    with connect(context) as client:
        client.remove(name)
    tell({"removed": name}, f"{name} is removed", as_json=as_json)


def retry(context: typer.Context, name: Named, as_json: Json = False) -> None:
    """Have a name looked at again: it was refused or set aside, or its event lost."""
    with connect(context) as client:
        client.look(name)
    tell({"retried": name}, f"{name} is looked at again", as_json=as_json)


def revisions(context: typer.Context, as_json: Json = False) -> None:
    """List the revisions that one can roll back to."""
    with connect(context) as client:
        found = client.revisions()
    if as_json:
        typer.echo(json.dumps(found, indent=1))
        return
    from facility.text import moment, shown

    now = time.time()
    for each in found:
        at = moment(datetime.fromisoformat(each["published"]).timestamp(), now)
        typer.echo(f"{each['revision']:6}  {at:20}  {shown(each['tag'])}")


def rollback(
    context: typer.Context,
    tag: Annotated[
        str, typer.Argument(help="As `revisions` lists it.", metavar="REVISION")
    ],
    as_json: Json = False,
) -> None:
    """Publish again what an earlier revision held, as the next revision."""
    given, tag = tag, f"revision-{tag}" if tag.isdecimal() else tag
    with connect(context) as client:
        if tag not in {each["tag"] for each in client.revisions()}:
            raise UsageError(
                f"there is no revision {given!r}: `facility images revisions` shows "
                "which there are"
            )
        revision = client.rollback(tag)
    line = f"revision {revision} holds what {tag} held"
    tell({"revision": revision}, line, as_json=as_json)


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
    from facility.text import amount, counted, shown

    with connect(context) as client:
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
        f"{counted(len(done['names']), 'name')}, "
        f"{counted(len(done['images']), 'image')}, "
        f"{counted(len(done['layers']), 'layer')} and "
        f"{counted(done['objects'], 'object')} ({amount(done['freed'])}) {verb}; "
        f"{counted(done['waiting'], 'object waits', 'objects wait')} for the end of "
        "the grace period"
    )
    for image, why in done.get("kept", {}).items():
        line += shown(f"\n{image[7:19]} is kept by {'; '.join(why)}")
    tell(done, line, as_json=as_json)


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
    from facility.local.publishing import repository_places

    publisher, storage = publisher_here(context)
    places = repository_places(storage.state_dir, publisher)
    seconds = seconds_of("--for", limit)
    fqrn = publisher.fqrn
    verify_images(places.folder, places.keys, fqrn, seconds, as_json=as_json)
