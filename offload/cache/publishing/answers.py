"""How requests are read and answered: bodies, problems, who may ask."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import TypeVar

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
)

Read = TypeVar("Read", bound=BaseModel)
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Body(BaseModel):
    """What somebody sends."""

    model_config = ConfigDict(extra="forbid")


class SentBlob(Body):
    """A blob that somebody has."""

    digest: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")
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


class Collect(Body):
    """How to remove."""

    dry_run: bool = False


async def body_of(request: Request, most: int) -> bytes:
    """Return a request's body.

    Raises:
        PublishingError: it has more bytes than that.
    """
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > most:
            raise PublishingError(f"expected at most {most:,} bytes, got more")
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


def problem(error: FacilityError) -> JSONResponse:
    """Return the answer that tells of an error (RFC 9457)."""
    match error:
        case RefusedEventError():
            status = 401
        case MissingImageError():
            status = 404
        case OffsetError():
            status = 409
        case RefusedImageError() | DigestError():
            status = 422
        case NoSpaceError():
            status = 507
        case RepositoryBusyError():
            status = 503
        case CacheError():
            status = 400
        case _:
            status = 500
    headers = {"Cache-Control": "no-store"}
    if isinstance(error, OffsetError):
        headers["Upload-Offset"] = str(error.expected)
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
