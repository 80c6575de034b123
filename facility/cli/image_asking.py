"""What the commands of ``facility images`` share: whom they ask, and what they name."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facility.cli.absence import absence
from facility.cli.invocation import given_directory, place_of
from facility.errors import NotRunningError, UsageError

if TYPE_CHECKING:
    from facility.local.paths import Storage
    from facility.spec import Publisher
    from offload.cache.publishing.client import PublisherClient
    from offload.cache.publishing.errors import PublisherAwayError
    from offload.jobs.settings import Settings

_SHORTENED = re.compile(r"(?:sha256:)?([0-9a-f]{6,64})")
_DIGITS = 64

Which = Annotated[
    str,
    typer.Argument(
        help="HOST/NAME:TAG, or an image: its digest, or how that begins.",
        metavar="IMAGE",
    ),
]
What = Annotated[
    str, typer.Option("--for", help="What it is, or was, kept for.", metavar="WHAT")
]
Named = Annotated[str, typer.Argument(help="HOST/NAME:TAG", metavar="NAME")]


@contextmanager
def connect(context: typer.Context) -> Iterator[PublisherClient]:
    """Give a client of the facility's publisher, as who we are.

    Raises:
        UsageError: the facility has none.
        NotRunningError: it does not answer, as the facility is not running.
    """
    from facility.client.offload_settings import load_settings
    from offload.cache.publishing.client import PublisherClient
    from offload.cache.publishing.errors import PublisherAwayError

    settings = load_settings(given_directory(context))
    if settings.publisher is None:
        raise UsageError(
            f"facility {settings.facility_id} publishes nothing: add `publisher` to its "
            "facility.yaml, and start it again"
        )
    token = _token(settings.publisher_token)
    try:
        with PublisherClient(settings.publisher, token) as client:
            yield client
    except PublisherAwayError as error:
        raise NotRunningError(_why_away(context, settings, error)) from None


def _why_away(
    context: typer.Context, settings: Settings, error: PublisherAwayError
) -> str:
    from facility.local.lock import is_locked

    place = place_of(context)
    storage = place.last_storage()
    is_ours = storage is not None and storage.id == settings.facility_id
    if is_ours and not is_locked(place.supervisor_lock):
        return absence(place)
    if is_ours:
        return f"{error}; `facility logs publisher` says what it does"
    return f"{error}; who runs facility {settings.facility_id} starts it"


def publisher_here(context: typer.Context) -> tuple[Publisher, Storage]:
    """Return the publisher of a facility of this machine, and where its state is.

    Raises:
        UsageError: the facility has none, or its file is wrong.
    """
    from facility.spec import load

    place = place_of(context)
    spec = load(place.directory)
    if spec.publisher is None:
        raise UsageError(
            f"{place.directory / 'facility.yaml'}: expected `publisher`; "
            "`publisher: {}` is enough on one machine"
        )
    return spec.publisher, place.storage(spec.name, spec.storage.state)


def _token(path: Any) -> str | None:
    """Return the person's token; None if he has none, or may not read it."""
    from offload.cache.publishing.tokens import read_token

    return None if path is None else read_token(path.expanduser())


def named(client: PublisherClient, which: str, own: Iterable[str] = ()) -> str:
    """Return what somebody named, a digest in full if it was shortened.

    Args:
        client: of the publisher, whose images are known.
        which: as it was typed.
        own: digests that are known here, too.

    Raises:
        UsageError: what it begins is no image, or more than one.
    """
    if (short := _SHORTENED.fullmatch(which)) is None:
        return which
    if len(short[1]) == _DIGITS:  # perhaps of an image that is only to come
        return f"sha256:{short[1]}"
    known = {each.image for each in client.images() if each.image is not None}
    found = {
        image for image in known.union(own) if image.startswith(f"sha256:{short[1]}")
    }
    if len(found) != 1:
        raise UsageError(
            f"{which} begins the digest of {len(found) or 'no'} images; "
            "`facility images list` shows all"
        )
    return found.pop()


def digest_of(client: PublisherClient, which: str) -> str:
    """Return the digest of an image that somebody named.

    Raises:
        UsageError: the name means none.
    """
    which = named(client, which)
    if which.startswith("sha256:"):
        return which
    status = client.status(which)
    if status.image is None:
        raise UsageError(f"{which} means no image; `facility images list` shows all")
    return status.image


def tell(record: dict[str, Any], line: str, *, as_json: bool) -> None:
    """Print what was done, for people or for programs."""
    typer.echo(json.dumps(record) if as_json else line)
