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
    return [
        process.identity
        for process in marked_processes(facility_id)
        if SERVER_MODULE in process.argv and process.identity.pid not in known_pids
    ]
