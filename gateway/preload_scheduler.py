"""Loaded by every scheduler: its dashboard is for its user."""

from __future__ import annotations

from distributed import Scheduler

from gateway.peers import admit_own_users_only


async def dask_setup(scheduler: Scheduler) -> None:
    """Close the dashboard to other users of the machine."""
    admit_own_users_only(scheduler.http_server)
