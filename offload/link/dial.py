"""The site's side of dialing in: one outgoing SSH connection, held for good."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NoReturn

import asyncssh

from offload.link.errors import LinkRefusedError
from offload.link.failures import FAILURES, explain
from offload.link.state import Paused, Reachable, State, delay_s

KEEPALIVE_S = 15
KEEPALIVES = 3
CONNECT_S = 30
STEADY_S = 60.0
"""After a connection of that age the back-off begins anew."""
NAME = "/plugin"
"""What the facility is asked to forward; it decides itself where that appears."""

log = logging.getLogger("offload.link")


@dataclass(frozen=True, slots=True)
class Facility:
    """Where a site dials to, and how both know each other."""

    host: str
    port: int
    site: str
    """The site's name in ``facility.yaml``."""
    key: Path
    """The site's private key, mode 0600, without a passphrase."""
    known_hosts: Path
    """File with the facility's host key."""

    @classmethod
    def parse(
        cls, address: str, *, site: str, key: Path, known_hosts: Path
    ) -> Facility:
        """Check what a person gave.

        Raises:
            LinkRefusedError: no such address, or a file that cannot be used.
        """
        match = re.fullmatch(r"\[?([A-Za-z0-9_.:-]+?)\]?:(\d{1,5})", address)
        if match is None or not 0 < int(match[2]) < 65536 or address.startswith("-"):
            raise LinkRefusedError(
                f"{address!r}: expected the facility's HOST:PORT, such as "
                "facility.example.org:2222"
            )
        for path, what in ((key, "the site's private key"), (known_hosts, "host keys")):
            try:
                path.read_bytes()
            except OSError as error:
                raise LinkRefusedError(
                    f"{path}: expected a file with {what}, got: {error.strerror}"
                ) from None
        if key.stat().st_mode & 0o077:
            raise LinkRefusedError(
                f"{key}: others can read this private key: `chmod 600 {key}`"
            )
        return cls(match[1], int(match[2]), site, key, known_hosts)


async def dial(
    facility: Facility,
    socket: Path,
    tell: Callable[[State], None] = lambda _: None,
) -> NoReturn:
    """Make the plugin's socket reachable from the facility, for ever.

    A connection that is lost, or cannot be made, is tried again with a growing delay of
    at most a minute. The facility can do nothing here but connect to that one socket.

    Args:
        facility: where to dial.
        socket: the plugin's unix socket; it need not be there yet.
        tell: called with each change.
    """
    failures = 0
    while True:
        begin = time.monotonic()
        try:
            reason = await _hold(facility, socket, tell)
        except FAILURES as error:
            reason = explain(error, f"{facility.host}:{facility.port}")
        failures = 1 if time.monotonic() - begin >= STEADY_S else failures + 1
        delay = delay_s(failures)
        tell(Paused(reason, datetime.now(UTC) + timedelta(seconds=delay)))
        await asyncio.sleep(delay)


async def _hold(facility: Facility, socket: Path, tell: Callable[[State], None]) -> str:
    """Connect and stay connected; return why that ended."""
    async with asyncssh.connect(
        facility.host,
        facility.port,
        username=facility.site,
        client_keys=[str(facility.key)],
        known_hosts=str(facility.known_hosts),
        # What is meant for the person's own logins must not change this one.
        config=[],
        agent_path=None,
        preferred_auth="publickey",
        connect_timeout=CONNECT_S,
        login_timeout=CONNECT_S,
        keepalive_interval=KEEPALIVE_S,
        keepalive_count_max=KEEPALIVES,
    ) as connection:
        await connection.forward_remote_path(NAME, str(socket))
        tell(Reachable())
        await connection.wait_closed()
    return f"the connection to {facility.host} ended"
