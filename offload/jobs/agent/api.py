"""What the agent answers on its socket: to be woken, and for what only it can reach."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from facility.errors import FacilityError
from offload.jobs.agent import following
from offload.jobs.agent.sites import Site
from offload.jobs.errors import NoSuchJobError, NoSuchSiteError
from offload.jobs.ledger import Ledger
from offload.jobs.model import ElementName
from offload.jobs.settings import Settings

PROBLEM = "application/problem+json"


class Streams:
    """How many streams are open: an agent that serves one is not idle."""

    def __init__(self) -> None:
        self.open = 0


def application(
    settings: Settings,
    ledger: Ledger,
    sites: Mapping[str, Site],
    on_wake: Callable[[], None],
    streams: Streams,
) -> FastAPI:
    """Return the application. Who can connect is the person: the socket is his."""
    app = FastAPI(title="agent", docs_url=None, redoc_url=None, openapi_url=None)

    @app.exception_handler(FacilityError)
    async def refuse(_: Request, error: FacilityError) -> Response:
        unknown = isinstance(error, NoSuchJobError | NoSuchSiteError)
        return JSONResponse(
            {"title": type(error).__name__, "detail": str(error)},
            status_code=404 if unknown else 503,
            media_type=PROBLEM,
        )

    @app.post("/wake", status_code=202)
    async def wake() -> dict[str, str]:
        on_wake()
        return {"status": "awake"}

    @app.get("/health")
    async def health() -> dict[str, object]:
        return {
            "status": "ok",
            "sites": {n: str(s.paused or "ready") for n, s in sites.items()},
        }

    @app.post("/sites/{name}/check")
    async def check(name: str) -> dict[str, str | None]:
        settings.site(name)
        await sites[name].check()
        paused = sites[name].paused
        return {"site": name, "paused": None if paused is None else str(paused)}

    @app.get("/jobs/{name}/logs")
    async def logs(
        name: str,
        follow: bool = False,
        since_s: float | None = None,
        previous: bool = False,
    ) -> Response:
        wanted = ElementName.parse(name)
        element, _ = await asyncio.to_thread(
            ledger.element, wanted.job, wanted.index or 0
        )
        if since_s is not None or previous:
            content = await following.ask_site(
                ledger, sites, element, since_s=since_s, previous=previous
            )
            return Response(content, media_type="application/octet-stream")
        chunks = following.follow(settings, ledger, sites, element, until_end=follow)

        async def counted() -> AsyncIterator[bytes]:
            streams.open += 1
            try:
                async for chunk in chunks:
                    yield chunk
            finally:
                streams.open -= 1

        return StreamingResponse(counted(), media_type="application/octet-stream")

    return app
