"""``python -m offload.link SETTINGS``: where sites dial in; the supervisor starts it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

from offload.link.admission import EndpointSettings
from offload.link.endpoint import Endpoint


async def serve(settings: EndpointSettings) -> None:
    """Serve until SIGTERM or SIGINT."""
    endpoint = Endpoint(settings)
    await endpoint.start()
    work = asyncio.ensure_future(endpoint.serve())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, work.cancel)
    try:
        await work
    except asyncio.CancelledError:
        await endpoint.close()


if __name__ == "__main__":
    os.umask(0o077)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    # Who connects and leaves is told by us; asyncssh tells of every channel.
    logging.getLogger("asyncssh").setLevel(logging.WARNING)
    asyncio.run(serve(EndpointSettings.load(Path(sys.argv[1]))))
