"""What comes in over HTTP: events of registries, and images that agents hand over."""

from __future__ import annotations

import asyncio
import logging
import time

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from offload.cache.publishing.answers import (
    Wanted,
    body_of,
    number_in,
    parse,
    pieces_of,
    told,
)
from offload.cache.publishing.desk import Desk
from offload.cache.publishing.errors import PublishingError
from offload.cache.publishing.events import (
    LARGEST_BODY,
    SIGNATURE,
    check_sender,
    read_events,
)
from offload.cache.publishing.images import LARGEST_MANIFEST
from offload.cache.publishing.people import person_asking
from offload.cache.publishing.references import Reference, is_digest
from offload.cache.publishing.sources import inbox_reference
from offload.snapshot.model import Blob

_BLOCK = 1 << 20

log = logging.getLogger("facility.publisher")


def add_events(app: FastAPI, desk: Desk) -> None:
    """Take events of the registries.

    What an event says is left out where it makes no sense: whoever refused it would get
    it again and again, and the registry's other events never.
    """
    hosts = [registry.host for registry in desk.settings.registries]
    secret = desk.event_secret

    async def take(host: str, request: Request) -> Response:
        if SIGNATURE not in request.headers:
            check_sender(b"", request.headers, secret)  # a stranger's body is not read
        body = await body_of(request, LARGEST_BODY)
        check_sender(body, request.headers, secret)
        if host not in hosts:
            raise PublishingError(
                f"{host[:100]!r} is no registry that `publisher` of facility.yaml names"
            )
        names, odd = read_events(body)
        if odd:
            log.warning("an event of %s makes no sense: it is left out", host)
        # Answered only once it is on the disk: until then the registry tries again.
        for repository, version, digest in names:
            reference = Reference(host, repository, version)
            await asyncio.to_thread(
                desk.queue.ask, [reference], time.time(), expected=digest
            )
        desk.worker.wake()
        return JSONResponse({"names": len(names), "left_out": odd}, status_code=202)

    @app.post("/events")
    async def of_the_one(request: Request) -> Response:
        if len(hosts) != 1:
            raise PublishingError("expected /events/HOST: there are several registries")
        return await take(hosts[0], request)

    @app.post("/events/{host}")
    async def of_one(host: str, request: Request) -> Response:
        return await take(host, request)


def add_inbox(app: FastAPI, desk: Desk) -> None:
    """Take images from people's agents, piece by piece."""

    @app.post("/inbox/missing")
    async def missing(request: Request) -> Response:
        person = person_asking(request, desk)
        wanted = parse(Wanted, await body_of(request, _BLOCK))
        blobs = [Blob(each.digest, each.size) for each in wanted.blobs]
        found = await asyncio.to_thread(desk.inbox.missing, blobs, person)
        return JSONResponse(
            {"missing": [{"digest": d, "offset": offset} for d, offset in found]}
        )

    @app.patch("/inbox/blobs/{digest}")
    async def send(digest: str, request: Request) -> Response:
        person = person_asking(request, desk)
        offset = number_in(request, "Upload-Offset")
        length = number_in(request, "Upload-Length")
        if not is_digest(digest):
            raise PublishingError("expected a digest sha256:HEX in the path")
        if await asyncio.to_thread(desk.inbox.has, digest):
            return Response(status_code=201, headers={"Upload-Offset": str(length)})
        blob = Blob(digest, length)
        incoming = await asyncio.to_thread(desk.inbox.incoming, blob, person)
        buffer = bytearray()
        async for chunk in pieces_of(request):
            buffer += chunk
            if len(buffer) >= _BLOCK:
                offset = await asyncio.to_thread(incoming.append, offset, bytes(buffer))
                buffer.clear()
        # Also nothing: an empty blob, or an offset that is not the next one.
        offset = await asyncio.to_thread(incoming.append, offset, bytes(buffer))
        is_complete = await asyncio.to_thread(incoming.commit)
        return Response(
            status_code=201 if is_complete else 204,
            headers={"Upload-Offset": str(offset)},
        )

    @app.put("/inbox/images/{digest}")
    async def hand_over(digest: str, request: Request) -> Response:
        person_asking(request, desk)
        manifest = await body_of(request, LARGEST_MANIFEST)
        await asyncio.to_thread(take_image, desk, manifest, digest)
        desk.worker.wake()
        return told(await asyncio.to_thread(desk.statuses.of, digest), 202)


def take_image(desk: Desk, manifest: bytes, digest: str) -> None:
    """Take an image that was handed over, and have it looked at.

    Raises:
        NoImageError, MissingImageError: see :meth:`Inbox.take`.
    """
    with desk.inbox.still():  # only what waits is spared when others are over
        desk.inbox.take(manifest, digest, desk.settings.architecture)
        desk.queue.ask([inbox_reference(digest)], time.time(), image=digest)
