"""What the commands of ``facility images`` share: whom they ask, and what they name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facility.cli.invocation import given_directory
from facility.errors import UsageError

if TYPE_CHECKING:
    from offload.cache.publishing.client import PublisherClient

Which = Annotated[
    str,
    typer.Argument(help="HOST/NAME:TAG, or an image: sha256:...", metavar="IMAGE"),
]
What = Annotated[
    str, typer.Option("--for", help="What it is, or was, kept for.", metavar="WHAT")
]
Named = Annotated[str, typer.Argument(help="HOST/NAME:TAG", metavar="NAME")]


def connect(context: typer.Context) -> PublisherClient:
    """Return a client of the facility's publisher, as who we are.

    Raises:
        UsageError: the facility has none.
    """
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


def digest_of(client: PublisherClient, which: str) -> str:
    """Return the digest of an image that somebody named.

    Raises:
        UsageError: the name means none.
    """
    if which.startswith("sha256:"):
        return which
    status = client.status(which)
    if status.image is None:
        raise UsageError(f"{which} means no image; `facility images list` shows all")
    return status.image


def tell(record: dict[str, Any], line: str, *, as_json: bool) -> None:
    """Print what was done, for people or for programs."""
    typer.echo(json.dumps(record) if as_json else line)
