"""``python -m offload.cache.publishing SETTINGS``: the publisher; a supervisor starts it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from pathlib import Path

import uvicorn

from facility.errors import FacilityError
from offload.cache.publishing.desk import Desk
from offload.cache.publishing.listening import (
    MOST_CONNECTIONS,
    PromptProtocol,
    alone,
    bound,
)
from offload.cache.publishing.repeats import RepeatFilter
from offload.cache.publishing.service import application
from offload.cache.publishing.settings import PublisherSettings

_STOP_S = 5


def main() -> int:
    """Serve until SIGTERM or SIGINT.

    Exit code 2 with one line: the settings do not fit, or another publisher has the
    folder or the address.
    """
    # What is served may be served by others, too; what is private says so itself.
    os.umask(0o022)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("facility.publisher").addFilter(RepeatFilter())
    try:
        settings = PublisherSettings.load(Path(sys.argv[1]))
        with alone(settings), bound(settings) as listener:
            return _serve(Desk.of(settings), listener)
    except FacilityError as error:
        sys.stderr.write(f"publisher: {error}\n")
        return int(error.exit_code)


def _serve(desk: Desk, listener: socket.socket) -> int:
    server = uvicorn.Server(
        uvicorn.Config(
            application(desk),
            http=PromptProtocol,
            limit_concurrency=MOST_CONNECTIONS,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=_STOP_S,
            timeout_keep_alive=60,
            server_header=False,
        )
    )
    # The server hands on the signal that stopped it: the worker is still to end.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    desk.worker.start()
    try:
        asyncio.run(server.serve(sockets=[listener]))
    finally:
        desk.worker.stop()
        desk.close()
    return 0 if server.started else 1


if __name__ == "__main__":
    sys.exit(main())
