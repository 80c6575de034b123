"""Servers that a killed hub had started but not yet written down."""

from __future__ import annotations

from collections.abc import Collection

from facility.marked import marked_processes
from facility.process import ProcessIdentity

SERVER_MODULE = "hub_config.singleuser"
"""``python -m`` this is a notebook server."""


def lost_servers(
    facility_id: str, known_pids: Collection[int]
) -> list[ProcessIdentity]:
    """Return this facility's notebook servers that the hub does not know.

    Nobody can reach them: the hub that knew address and token is gone.
    """
    servers = [p for p in marked_processes(facility_id) if SERVER_MODULE in p.argv]
    pids = {process.identity.pid for process in servers}
    return [
        process.identity
        for process in servers
        # What a server starts has its arguments, until it executes its own program.
        if process.identity.pid not in known_pids and process.parent not in pids
    ]
