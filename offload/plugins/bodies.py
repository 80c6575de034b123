"""Bodies of requests and answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from fastapi import Request, Response
from pydantic import ValidationError

from offload.interlink.wire import Message
from offload.plugins.problems import ProblemError

LARGEST_BODY = 256 * 2**20
"""A thousand pods with their config maps and secrets."""
T = TypeVar("T")


def message(content: Message) -> Response:
    """Return a message as the answer."""
    return Response(content.to_wire(), media_type="application/json")


async def body_of(request: Request) -> bytes:
    """Return a request's body.

    Raises:
        ProblemError: it is larger than anything that makes sense.
    """
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > LARGEST_BODY:
            raise ProblemError(
                413, "too-large", f"expected at most {LARGEST_BODY:,} bytes, got more"
            )
    return bytes(content)


def parse(read: Callable[[bytes], T], content: bytes) -> T:
    """Read a message.

    Raises:
        ProblemError: it is none.
    """
    try:
        return read(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "the body"
        raise ProblemError(
            400, "malformed-request", f"{place}: {first['msg']}"
        ) from None
