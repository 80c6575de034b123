"""``/getLogs``: a container's log, now or as it grows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse

from offload.interlink.messages import LogStruct
from offload.plugins.bodies import body_of, parse
from offload.plugins.log_files import LogFile, is_there, limited, log_file
from offload.plugins.problems import ProblemError, unknown_pod
from offload.plugins.site import Site
from offload.plugins.table import Entry

_FOLLOW_S = 0.2
_TEXT = "text/plain; charset=utf-8"


def add_logs(app: FastAPI, site: Site) -> None:
    """Add the route."""

    @app.get("/getLogs")
    async def logs(request: Request) -> Response:
        wanted = parse(LogStruct.model_validate_json, await body_of(request))
        entry = site.table.get(wanted.pod_uid)
        if entry is None:
            raise unknown_pod(wanted.pod_uid)
        file = find_log(
            site, entry, wanted.container_name, is_previous=wanted.opts.previous
        )
        start = file.start(wanted.opts, site.clock())
        blocks = _follow(site, entry, file, wanted, start)
        return StreamingResponse(blocks, media_type=_TEXT)


def find_log(
    site: Site, entry: Entry, container: str, *, is_previous: bool = False
) -> LogFile:
    """Return the log of a container of a pod; the first one if none is named.

    Raises:
        ProblemError: there is no such container, or no run before this one.
    """
    spec = entry.pod.spec
    names = [c.name for c in (*spec.containers, *spec.init_containers)]
    name = container or names[0]
    if name not in names:
        raise ProblemError(
            400,
            "unknown-container",
            f"pod {entry.record.name}: expected one of {', '.join(names)}, got"
            f" {container[:80]!r}",
        )
    logs = site.table.work.pod(entry.record.uid).logs
    file = log_file(logs, name, is_previous=is_previous)
    if is_previous and not is_there(file):
        raise ProblemError(
            400, "no-previous-run", f"container {name} has not run before this run"
        )
    return file


async def _follow(
    site: Site, entry: Entry, file: LogFile, wanted: LogStruct, start: int
) -> AsyncIterator[bytes]:
    """Yield what is asked for; with ``Follow`` until the pod has ended."""
    options = wanted.opts
    left = options.limit_bytes
    while True:
        # First whether it has ended, then what there is: nothing is left behind.
        is_last = not options.follow or options.previous or site.table.is_final(entry)
        end = file.size()
        blocks: Iterator[bytes] = file.read(start, end)
        if options.timestamps:
            blocks = file.with_times(blocks, start, site.clock())
        for block in limited(blocks, left):
            yield block
            left -= len(block)
            if options.limit_bytes and left <= 0:
                return
            await asyncio.sleep(0)
        start = max(start, end)
        if is_last:
            return
        await asyncio.sleep(_FOLLOW_S)
