"""A log while it grows: from the site as long as it is there, then from its copy."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Mapping

from offload.interlink import (
    InterlinkError,
    LogOptions,
    LogStruct,
    PluginRefusedError,
)
from offload.jobs.agent.returning import read_log
from offload.jobs.agent.sites import Site
from offload.jobs.errors import JobsError
from offload.jobs.ledger import Ledger
from offload.jobs.model import MAIN, Element
from offload.jobs.settings import Settings
from offload.jobs.stages import Stage
from offload.link import PausedError

LOOK_S = 0.2
"""Between two looks for more."""


async def ask_site(
    ledger: Ledger,
    sites: Mapping[str, Site],
    element: Element,
    *,
    since_s: float | None,
    previous: bool,
) -> bytes:
    """Return what only the site can tell of a log: when, and what was before a requeue.

    Args:
        ledger: Says where the job is.
        sites: By name.
        element: Whose log.
        since_s: What was written in so many last seconds; ``None`` for all.
        previous: Of the run before the site put the job back into its queue.

    Raises:
        JobsError: the job was never sent to a site, or the site cannot tell.
    """
    _, site = await asyncio.to_thread(ledger.element, element.job, element.index)
    if site is None or not element.is_sent:
        raise JobsError(f"job {element.name} was not sent to a site yet")
    options = LogOptions(
        since_seconds=0 if since_s is None else max(1, math.ceil(since_s)),
        previous=previous,
    )
    wanted = LogStruct(pod_uid=element.uid, container_name=MAIN, opts=options)
    try:
        client = await sites[site].client()
        return await client.logs(wanted)
    except (PausedError, InterlinkError) as error:
        raise JobsError(f"site {site}: {error}") from None


async def follow(
    settings: Settings,
    ledger: Ledger,
    sites: Mapping[str, Site],
    element: Element,
    *,
    until_end: bool,
) -> AsyncIterator[bytes]:
    """Yield the log's bytes, each once and in order.

    Args:
        settings: Where copies are.
        ledger: Says where the job is.
        sites: By name.
        element: Whose log.
        until_end: Wait for more until the job is done; else yield what there is. A
            site that is away meanwhile delays, and nothing is lost.
    """
    offset = 0
    kept = settings.log(element.name)
    while True:
        now, site = await asyncio.to_thread(ledger.element, element.job, element.index)
        if kept.exists():
            with kept.open("rb") as file:
                file.seek(offset)
                while chunk := await asyncio.to_thread(file.read, 1 << 20):
                    yield chunk
            return
        if now.stage is Stage.DONE:
            return
        if site is not None and now.stage.is_at_site:
            client = None
            try:
                client = await sites[site].client()
                is_ours = sites[site].is_ours
                async for chunk in read_log(client, now, offset, is_ours=is_ours):
                    offset += len(chunk)
                    yield chunk
            except (PausedError, PluginRefusedError):
                pass  # not there yet, or away: the copy comes in any case
            except InterlinkError as error:
                await sites[site].lost(client, error)
        # Meanwhile it may have come home, and the site have forgotten it.
        if not until_end and not kept.exists():
            return
        await asyncio.sleep(LOOK_S)
