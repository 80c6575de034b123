"""The publisher's HTTP interface: events in, images in, the repository out.

Who is on one of the configured networks may read what is published. Who writes, or wants
to know what others push and keep, shows a token; events show the shared secret. Errors
are problem documents (RFC 9457).
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import asdict

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from facility.errors import FacilityError
from offload.cache.cvmfs.errors import RepositoryError
from offload.cache.publishing.answers import (
    Collect,
    Lease,
    Name,
    Tag,
    body_of,
    is_among,
    networks_of,
    parse,
    problem,
    told,
)
from offload.cache.publishing.bundles import LARGEST_TRACE, publish_bundle
from offload.cache.publishing.desk import Desk
from offload.cache.publishing.errors import PublishingError, RefusedEventError
from offload.cache.publishing.intake import add_events, add_inbox
from offload.cache.publishing.people import (
    administrator_asking,
    is_person,
    person_asking,
    reporter_asking,
)
from offload.cache.publishing.references import Reference, is_digest
from offload.cache.publishing.serving import serve
from offload.cache.publishing.shelf import remove_name
from offload.cache.publishing.status import Status
from offload.cache.publishing.statuses import Statuses
from offload.cache.publishing.work import State
from offload.cache.reading.traces import Trace

_BLOCK = 1 << 20
_LONGEST_POLL_S = 60.0
_FIRST_LOOK_S = 0.05
_LONGEST_LOOK_S = 0.5
_WAIT_S = 60.0


def application(desk: Desk) -> FastAPI:
    """Return the application."""
    app = FastAPI(title="publisher", docs_url=None, redoc_url=None, openapi_url=None)

    @app.exception_handler(FacilityError)
    async def refuse(_: Request, error: FacilityError) -> Response:
        return problem(error)

    @app.exception_handler(ClientDisconnect)
    async def end(_: Request, __: ClientDisconnect) -> Response:
        return Response(status_code=400)  # nobody reads it, and nothing is wrong here

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    _add_reading(app, desk)
    add_events(app, desk)
    add_inbox(app, desk)
    _add_keeping(app, desk)
    _add_administration(app, desk)
    return app


def _add_reading(app: FastAPI, desk: Desk) -> None:
    networks = networks_of(desk.settings.networks)
    statuses = desk.statuses

    def check(request: Request) -> None:
        if not is_among(request, networks):
            raise RefusedEventError("this address may not read here")

    @app.api_route(
        f"/cvmfs/{desk.settings.fqrn}/{{path:path}}", methods=["GET", "HEAD"]
    )
    async def repository(path: str, request: Request) -> Response:
        if not is_among(request, networks):
            return Response(status_code=403, headers={"Cache-Control": "no-store"})
        return await serve(request, desk.shelf.repository.public, path)

    @app.get("/images")
    async def images(request: Request) -> Response:
        check(request)
        found = await asyncio.to_thread(statuses.all)
        if not is_person(request, desk):  # names of what is private are private, too
            found = [each.without_people() for each in found if each.is_published]
        return JSONResponse({"images": [asdict(each) for each in found]})

    @app.get("/images/{name:path}")
    async def image(name: str, request: Request, wait_s: float = 0.0) -> Response:
        check(request)
        status = await _until_final(statuses, name, request, wait_s)
        return told(status if is_person(request, desk) else status.without_people())

    @app.get("/revisions")
    async def revisions(request: Request) -> Response:
        check(request)
        tags = await asyncio.to_thread(desk.shelf.repository.tags)
        return JSONResponse(
            {
                "revisions": [
                    {
                        "tag": tag.name,
                        "revision": tag.revision,
                        "published": tag.published.isoformat(),
                        "description": tag.description,
                    }
                    for tag in tags
                ]
            }
        )


async def _until_final(
    statuses: Statuses, name: str, request: Request, wait_s: float
) -> Status:
    """Return what is known of an image; wait while that may change, but not longer."""
    until = time.monotonic() + max(0.0, min(wait_s, _LONGEST_POLL_S))
    pause_s = _FIRST_LOOK_S
    while True:
        status = await asyncio.to_thread(statuses.of, name)
        is_over = status.is_final or time.monotonic() >= until
        if is_over or await request.is_disconnected():
            return status
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 1.25, _LONGEST_LOOK_S)


def _add_keeping(app: FastAPI, desk: Desk) -> None:
    @app.post("/names")
    async def look(request: Request) -> Response:
        person = person_asking(request, desk)
        reference = Reference.parse(parse(Name, await body_of(request, _BLOCK)).name)
        if person in desk.settings.admins:
            await asyncio.to_thread(desk.queue.forgive, reference)
        await asyncio.to_thread(desk.queue.ask, [reference], time.time())
        desk.worker.wake()
        return JSONResponse({"names": 1}, status_code=202)

    @app.put("/bundles/{image}")
    async def bundle(image: str, request: Request) -> Response:
        person_asking(request, desk)
        trace = await _trace_of(image, request)
        count = await asyncio.to_thread(publish_bundle, desk.shelf, image, trace)
        return JSONResponse({"objects": count})

    @app.put("/reports/{image}")
    async def report(image: str, request: Request) -> Response:
        reporter_asking(request, desk)
        trace = await _trace_of(image, request)
        count = await asyncio.to_thread(desk.reports.take, image, trace)
        return JSONResponse({"objects": count})

    @app.put("/pins/{uid}/{image}")
    async def pin(uid: str, image: str, request: Request) -> Response:
        person = person_asking(request, desk)
        if not is_digest(image):
            raise PublishingError(f"expected sha256:HEX, got {image[:100]!r}")
        await asyncio.to_thread(desk.pins.add, person, uid, image)
        return JSONResponse({})

    @app.put("/leases/{uid}")
    async def lease(uid: str, request: Request) -> Response:
        person = person_asking(request, desk)
        wanted = parse(Lease, await body_of(request, _BLOCK))
        until = time.time() + wanted.for_s
        await asyncio.to_thread(desk.pins.lease, person, uid, wanted.images, until)
        return JSONResponse({"until": until})

    @app.delete("/pins/{uid}")
    @app.delete("/pins/{uid}/{image}")
    async def unpin(uid: str, request: Request, image: str | None = None) -> Response:
        person = person_asking(request, desk)
        removed = await asyncio.to_thread(desk.pins.remove, person, uid, image)
        return JSONResponse({"removed": removed})

    @app.delete("/needs/{image}")
    async def release(image: str, request: Request) -> Response:
        administrator_asking(request, desk)
        removed = await asyncio.to_thread(desk.pins.release, image)
        return JSONResponse({"removed": removed})


async def _trace_of(image: str, request: Request) -> Trace:
    if not is_digest(image):
        raise PublishingError(f"expected sha256:HEX, got {image[:100]!r}")
    body = await body_of(request, LARGEST_TRACE)
    text = body.decode("ascii", "replace")
    return await asyncio.to_thread(Trace.parse, text)  # a large one takes a second


def _add_administration(app: FastAPI, desk: Desk) -> None:
    @app.delete("/names/{name:path}")
    async def remove(name: str, request: Request) -> Response:
        administrator_asking(request, desk)
        await asyncio.to_thread(_remove, desk, Reference.parse(name))
        return JSONResponse({})

    @app.post("/rollback")
    async def rollback(request: Request) -> Response:
        administrator_asking(request, desk)
        tag = parse(Tag, await body_of(request, _BLOCK)).tag
        return JSONResponse({"revision": await asyncio.to_thread(_rollback, desk, tag)})

    @app.post("/collect")
    async def collect(request: Request) -> Response:
        administrator_asking(request, desk)
        wanted = parse(Collect, await body_of(request, _BLOCK))
        removed, collected = await asyncio.to_thread(
            desk.collector.collect,
            time.time(),
            dry_run=wanted.dry_run,
            at_once=wanted.at_once,
        )
        return JSONResponse(
            {
                "names": [str(name) for name in removed.names],
                "images": removed.images,
                "layers": removed.layers,
                "revisions": collected.forgotten,
                "objects": collected.removed,
                "freed": collected.freed,
                "waiting": collected.waiting,
            }
        )


def _rollback(desk: Desk, tag: str) -> int:
    """Roll back but for the images that somebody keeps; return the revision."""
    keep: list[bytes] = []
    for image in desk.pins.images():
        with suppress(RepositoryError):  # damaged: perhaps why one goes back
            keep += desk.shelf.paths(image)
    return desk.shelf.repository.rollback(tag, keep=keep, wait_s=_WAIT_S).revision


def _remove(desk: Desk, reference: Reference) -> None:
    now = time.time()  # who asks for it from here on is heard
    if desk.shelf.meaning(reference) is None:
        known = desk.queue.entry(reference)
        if known is None or known.state is not State.REFUSED:
            raise PublishingError(f"{reference} is not in the repository")
        desk.queue.forget([reference], now)
        return
    with desk.shelf.repository.transaction(wait_s=_WAIT_S) as change:
        remove_name(change, reference)
        change.commit()
