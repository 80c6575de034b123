"""How requests are read and answered: bodies, problems, who may ask."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Iterable
from dataclasses import asdict
from typing import Annotated, TypeVar

from fastapi import Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from facility.errors import FacilityError
from offload.cache.cvmfs.errors import RepositoryBusyError
from offload.cache.errors import (
    CacheError,
    DigestError,
    NoSpaceError,
    OffsetError,
)
from offload.cache.publishing.errors import (
    MissingImageError,
    PublishingError,
    RefusedEventError,
    RefusedImageError,
    SlowError,
)
from offload.cache.publishing.status import Status

LONGEST_LEASE_S = 30 * 86400.0
MOST_LEASED = 10_000
"""Images of one need."""

_PIECE_S = 30.0
_BODY_S = 60.0
"""Of what is read whole: a few MB at most."""
_DIGEST = r"^sha256:[0-9a-f]{64}$"
Read = TypeVar("Read", bound=BaseModel)
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


_STATUSES: dict[type[FacilityError], int] = {
    RefusedEventError: 401,
    MissingImageError: 404,
    SlowError: 408,
    OffsetError: 409,
    RefusedImageError: 422,
    DigestError: 422,
    NoSpaceError: 507,
    RepositoryBusyError: 503,
    CacheError: 400,
    FacilityError: 500,
}
"""The first that fits counts."""


class Body(BaseModel):
    """What somebody sends."""

    model_config = ConfigDict(extra="forbid")


class SentBlob(Body):
    """A blob that somebody has."""

    digest: str = Field(pattern=_DIGEST)
    size: int = Field(ge=0, lt=1 << 50)


class Wanted(Body):
    """Blobs of an image."""

    blobs: tuple[SentBlob, ...] = Field(max_length=2000)


class Name(Body):
    """``HOST/NAME:TAG``."""

    name: str


class Tag(Body):
    """A revision that is kept."""

    tag: str


class Lease(Body):
    """Images that somebody needs, and for how long."""

    images: tuple[Annotated[str, Field(pattern=_DIGEST)], ...] = Field(
        max_length=MOST_LEASED
    )
    for_s: float = Field(gt=0, le=LONGEST_LEASE_S)


class Collect(Body):
    """How to remove."""

    dry_run: bool = False
    at_once: bool = False


async def pieces_of(request: Request) -> AsyncIterator[bytes]:
    """Yield a request's body as it comes.

    Raises:
        SlowError: the next piece does not come in time.
    """
    stream = request.stream()
    while True:
        try:
            async with asyncio.timeout(_PIECE_S):
                piece = await anext(stream)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise SlowError(
                f"the body stopped for {_PIECE_S:g} s; send it again"
            ) from None
        yield piece


async def body_of(request: Request, most: int) -> bytes:
    """Return a request's body.

    Raises:
        PublishingError: it has more bytes than that.
        SlowError: it does not come in time.
    """
    content = bytearray()
    try:
        async with asyncio.timeout(_BODY_S):
            async for chunk in pieces_of(request):
                content += chunk
                if len(content) > most:
                    raise PublishingError(f"expected at most {most:,} bytes, got more")
    except TimeoutError:
        raise SlowError(
            f"the body took more than {_BODY_S:g} s; send it again"
        ) from None
    return bytes(content)


def parse(model: type[Read], body: bytes) -> Read:
    """Read a body.

    Raises:
        PublishingError: it is something else.
    """
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "the body"
        raise PublishingError(f"{place}: {first['msg']}") from None


def number_in(request: Request, name: str) -> int:
    """Return a header that is a number.

    Raises:
        PublishingError: it is none.
    """
    text = request.headers.get(name, "")
    if not (text.isascii() and text.isdecimal() and len(text) <= 15):
        raise PublishingError(f"{name}: expected a number, got {text[:40]!r}")
    return int(text)


def networks_of(texts: Iterable[str]) -> tuple[Network, ...]:
    """Read networks.

    Raises:
        PublishingError: one is none.
    """
    try:
        return tuple(ipaddress.ip_network(text) for text in texts)
    except ValueError as error:
        raise PublishingError(f"networks: {error}") from None


def is_among(request: Request, networks: Iterable[Network]) -> bool:
    """Whether a request comes from one of the networks, as far as we can see."""
    if request.client is None:
        return False
    try:
        address = ipaddress.ip_address(request.client.host.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return any(address in network for network in networks)


def told(status: Status, code: int = 200) -> JSONResponse:
    """Return the answer that tells of an image; nobody keeps it."""
    headers = {"Cache-Control": "no-store"}
    return JSONResponse(asdict(status), status_code=code, headers=headers)


def problem(error: FacilityError) -> JSONResponse:
    """Return the answer that tells of an error (RFC 9457)."""
    status = next(code for kind, code in _STATUSES.items() if isinstance(error, kind))
    headers = {"Cache-Control": "no-store"}
    if isinstance(error, OffsetError):
        headers["Upload-Offset"] = str(error.expected)
    if status in {401, 408}:  # who has not been heard out goes on sending
        headers["Connection"] = "close"
    return JSONResponse(
        {
            "title": type(error).__name__,
            "status": status,
            "detail": " ".join(str(error).split()),
        },
        status_code=status,
        headers=headers,
        media_type="application/problem+json",
    )
