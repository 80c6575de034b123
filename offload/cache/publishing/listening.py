"""What keeps others away: one publisher for a folder and an address, no slow callers."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from offload.cache.cvmfs.errors import RepositoryBusyError
from offload.cache.cvmfs.lock import held
from offload.cache.publishing.errors import TakenError
from offload.cache.publishing.settings import PublisherSettings

MOST_CONNECTIONS = 512
"""Together; a squid has some dozen. Who comes when there are so many is answered 503."""
_HEAD_S = 15.0
_BACKLOG = 1024


@contextmanager
def alone(settings: PublisherSettings) -> Iterator[None]:
    """Hold the publisher's folders, as long as this process lives.

    Raises:
        TakenError: another process holds one.
    """
    with ExitStack() as stack:
        settings.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (settings.state, settings.folder):
            try:
                if folder.is_dir():
                    stack.enter_context(held(folder / "publisher.lock", 0.0))
            except RepositoryBusyError:
                raise TakenError(
                    f"{folder}: another publisher works here; end it first"
                ) from None
        yield


def bound(settings: PublisherSettings) -> socket.socket:
    """Return a socket that listens where the settings say.

    Raises:
        TakenError: the address cannot be had.
    """
    address = settings.bind, settings.port
    family = socket.AF_INET6 if ":" in settings.bind else socket.AF_INET
    try:
        return socket.create_server(address, family=family, backlog=_BACKLOG)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise TakenError(
            f"{settings.bind}:{settings.port} cannot be had ({reason}): choose another "
            "address or port, or end who has it"
        ) from None


class PromptProtocol(H11Protocol):
    """Ends the connection of who does not send the head of a request in time."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        cycle: object = self.cycle  # None before the first request
        if not isinstance(cycle, RequestResponseCycle) or cycle.response_complete:
            self._expect_head()
        elif self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def connection_lost(self, exc: Exception | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        super().connection_lost(exc)

    def _expect_head(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(_HEAD_S, self.transport.close)
