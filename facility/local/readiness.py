"""Whether a process answers: asked often until it does, then now and then."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from facility.local.table import ProcessSpec
from offload.jobs.unix_sockets import connectable

if TYPE_CHECKING:
    import httpx

POLL_S = 0.05
"""Between two questions to a process that has not answered yet."""
CHECK_S = 5.0
"""Between two questions to one that has."""
START_TIMEOUT_S = 120.0
SILENCE_S = 60.0
"""A process that has not answered for so long is started again."""
_OK = 200


async def watch(
    spec: ProcessSpec, answered: Callable[[], None], silent: Callable[[], None]
) -> None:
    """Call ``answered`` once it answers, ``silent`` when it has not for too long.

    Runs until cancelled or until ``silent`` was called.
    """
    # httpx takes 0.2 s to import; the processes are starting meanwhile.
    import httpx

    # Checks go to loopback or to our own address; the certificate is for people.
    async with httpx.AsyncClient(
        verify=False,  # noqa: S501
        timeout=CHECK_S,
        headers=spec.ready_headers,
    ) as client:
        if not await _until_ready(client, spec):
            silent()
            return
        answered()
        last_answer = time.monotonic()
        while time.monotonic() - last_answer < SILENCE_S:
            await asyncio.sleep(CHECK_S)
            if await _answer(client, spec.ready_urls[0]) is not None:
                last_answer = time.monotonic()
        silent()


async def _until_ready(client: httpx.AsyncClient, spec: ProcessSpec) -> bool:
    deadline = time.monotonic() + START_TIMEOUT_S
    for url in spec.ready_urls:
        while True:
            if await _answer(client, url) == _OK:
                break
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(POLL_S)
    return True


async def _answer(client: httpx.AsyncClient, url: str) -> int | None:
    """Return the status of an answer; ``None`` if there is none.

    For what speaks no HTTP, that somebody accepts the connection is the answer.
    """
    import httpx

    address = urlsplit(url)
    try:
        match address.scheme:
            case "unix":
                with connectable(Path(address.path)) as name:
                    _, writer = await asyncio.open_unix_connection(name)
            case "tcp":
                _, writer = await asyncio.open_connection(
                    address.hostname, address.port
                )
            case _:
                return (await client.get(url)).status_code
    except (OSError, httpx.HTTPError):
        return None
    writer.close()
    return _OK
