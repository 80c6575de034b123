"""Whether a process answers: asked often until it does, then now and then."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from facility.local.table import ProcessSpec

POLL_S = 0.05
"""Between two questions to a process that has not answered yet."""
CHECK_S = 5.0
"""Between two questions to one that has."""
START_TIMEOUT_S = 120.0
SILENCE_S = 60.0
"""A process that has not answered for so long is started again."""


async def watch(
    spec: ProcessSpec, answered: Callable[[], None], silent: Callable[[], None]
) -> None:
    """Call ``answered`` once it answers, ``silent`` when it has not for too long.

    Runs until cancelled or until ``silent`` was called.
    """
    # httpx takes 0.2 s to import; the processes are starting meanwhile.
    import httpx

    # Checks go to loopback or to our own address; the certificate is for people.
    async with httpx.AsyncClient(verify=False, timeout=CHECK_S) as client:  # noqa: S501
        last_answer, limit_s, pause_s = time.monotonic(), START_TIMEOUT_S, POLL_S
        while True:
            try:
                response = await client.get(spec.ready_url)
                works = response.status_code in spec.ready_statuses
            except httpx.HTTPError:
                works = False
            if works:
                last_answer, limit_s, pause_s = time.monotonic(), SILENCE_S, CHECK_S
                answered()
            elif time.monotonic() - last_answer > limit_s:
                silent()
                return
            await asyncio.sleep(pause_s)
