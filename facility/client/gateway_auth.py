"""How the stock dask-gateway client in a notebook logs in, and says who it is.

dask-gateway instantiates the class that ``gateway.auth.type`` names; servers of a
facility name :class:`HubAuth`. It does what ``JupyterHubAuth`` does, and declares the
notebook to the gateway through the cluster option ``notebook``: which packages its
environment holds (so that workers that differ are refused), and which process it is
(so that its clusters end with it).
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import threading
from collections.abc import Callable
from typing import Any

import dask.config
from dask_gateway import client as stock
from dask_gateway.auth import JupyterHubAuth

from facility.environment import describe
from facility.process import identify

OPTION = "notebook"
"""The cluster option that carries the declaration."""


def declaration() -> dict[str, Any]:
    """Return what this process says about itself: environment, prefix and identity."""
    me = identify(os.getpid())
    assert me is not None
    return {
        "environment": describe().to_json(),
        "prefix": sys.prefix,
        "process": me.to_json(),
        "host": socket.gethostname(),
    }


class HubAuth(JupyterHubAuth):
    """JupyterHub's token, and the notebook's declaration as default option."""

    def __init__(self, api_token: str | None = None) -> None:
        super().__init__(api_token=api_token)
        dask.config.set({f"gateway.cluster.options.{OPTION}": declaration()})
        close_outside_of_the_loop(stock.Gateway)
        close_outside_of_the_loop(stock.GatewayCluster)


def close_outside_of_the_loop(cls: type[Any]) -> None:
    """Keep the garbage collector from closing a client on its own I/O thread.

    ``__del__`` closes synchronously: it waits for the I/O loop. The collector may
    run it *on* that loop's thread, which then waits for itself, for ever (seen with
    dask-gateway 2026.3.0 after a failed ``new_cluster``). There it is closed from a
    thread of its own instead.
    """
    original: Callable[[Any], None] = cls.__del__
    if getattr(original, "leaves_the_loop_alone", False):
        return

    def close_elsewhere(self: Any) -> None:
        try:
            own = self.loop.asyncio_loop
        except (AttributeError, RuntimeError):
            return  # never made, or its loop has ended: nothing is left to close
        try:
            on_own_loop = asyncio.get_running_loop() is own
        except RuntimeError:
            on_own_loop = False
        if on_own_loop and not sys.is_finalizing():
            threading.Thread(target=original, args=(self,), daemon=True).start()
        else:
            original(self)

    close_elsewhere.leaves_the_loop_alone = True  # type: ignore[attr-defined]
    cls.__del__ = close_elsewhere
