"""The plugin's HTTP interface, exactly as interLink calls it.

Source: interLink's plugin specification 0.4.0. ``GET`` requests have bodies there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from offload.interlink.messages import (
    Accelerator,
    PingResources,
    PingResponse,
    PodStatus,
    read_create,
    read_status_request,
)
from offload.interlink.pod import Pod
from offload.plugins.bodies import body_of, message, parse
from offload.plugins.errors import PluginError, SchedulerError
from offload.plugins.executor import Capacity
from offload.plugins.extension_routes import add_extensions
from offload.plugins.log_routes import add_logs
from offload.plugins.problems import ProblemError
from offload.plugins.site import Site
from offload.plugins.site_info import system_info


def make_app(
    site: Site, lifespan: Callable[[], Awaitable[Callable[[], Awaitable[None]]]]
) -> FastAPI:
    """Return the application.

    Args:
        site: What it acts upon.
        lifespan: Called at start; what it returns is called at the end.
    """

    @asynccontextmanager
    async def live(_: FastAPI) -> AsyncIterator[None]:
        stop = await lifespan()
        try:
            yield
        finally:
            await stop()

    app = FastAPI(
        title="interLink plugin", openapi_url=None, docs_url=None, lifespan=live
    )
    app.add_exception_handler(ProblemError, _problem)
    app.add_exception_handler(PluginError, _failure)
    _add_protocol(app, site)
    add_logs(app, site)
    add_extensions(app, site)
    return app


def _add_protocol(app: FastAPI, site: Site) -> None:
    @app.post("/create")
    async def create(request: Request) -> Response:
        pods, was_list = parse(read_create, await body_of(request))
        if not pods:
            raise ProblemError(400, "malformed-request", "expected a pod, got none")
        created = await site.create(pods)
        if was_list and len(created) != 1:
            content = b"[" + b",".join(each.to_wire() for each in created) + b"]"
            return Response(content, media_type="application/json")
        # Older versions send a list of one, and expect one object all the same.
        return message(created[0])

    @app.delete("/delete")
    async def delete(request: Request) -> Response:
        pod = parse(Pod.model_validate_json, await body_of(request))
        entry = await site.delete(pod.uid)
        # What is not known is gone: the caller's wish is fulfilled.
        words = "unknown: nothing to delete" if entry is None else "it will end"
        return JSONResponse({"message": words})

    @app.get("/status")
    async def status(request: Request) -> Response:
        pods = parse(read_status_request, await body_of(request))
        if not pods:
            return message(await _ping(site))
        return _statuses(site.status(pods))

    @app.get("/system-info")
    async def info() -> Response:
        return message(await system_info(site))


async def _ping(site: Site) -> PingResponse:
    problem = site.reconciler.problem
    try:
        capacity = await site.executor.capacity()
    except SchedulerError as error:
        capacity, problem = Capacity(), str(error)
    return PingResponse(
        status=f"the scheduler does not answer: {problem}" if problem else "ok",
        resources=PingResources(
            cpu=str(capacity.cpus),
            memory=str(capacity.memory_bytes),
            pods=str(capacity.max_submit_jobs or 10_000),
            accelerators=tuple(
                Accelerator(resource_type=name, available=count)
                for name, count in capacity.devices.items()
            ),
        ),
    )


def _statuses(statuses: tuple[PodStatus, ...]) -> Response:
    content = b"[" + b",".join(status.to_wire() for status in statuses) + b"]"
    return Response(content, media_type="application/json")


def _problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)
    return error.response()


def _failure(_: Request, error: Exception) -> Response:
    return ProblemError(503, "scheduler-unavailable", str(error)).response()
