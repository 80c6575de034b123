"""From what a person passes as ``on=`` to an executor."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from facility.columnar.executors.base import Executor
from facility.columnar.executors.batch import Batch
from facility.columnar.executors.local import Serial, Threads
from facility.columnar.executors.processes import Processes
from facility.errors import UsageError

if TYPE_CHECKING:
    from distributed import Client


@runtime_checkable
class Cluster(Protocol):
    """``LocalCluster``, ``GatewayCluster``: what a client can be had from."""

    def get_client(self) -> Client: ...


Where = Literal["threads", "processes", "serial", "batch"] | Any | None
"""One of these names (none: ``threads``), an executor, a Dask client or cluster."""


@contextmanager
def executor_for(on: Where) -> Iterator[Executor]:
    """Yield the executor; a client made here is closed afterwards.

    Raises:
        UsageError: ``on`` is none of those, or closed.
    """
    status = getattr(on, "status", None)
    if getattr(status, "name", status) in ("closing", "closed"):
        raise UsageError("on=...: this cluster or client is closed: make a new one")
    if on is None or on == "threads":
        yield Threads()
    elif on == "serial":
        yield Serial()
    elif on == "processes":
        yield Processes()
    elif on == "batch":
        yield Batch()
    elif callable(getattr(on, "partials", None)):
        yield on
    elif isinstance(on, Cluster):
        with on.get_client() as client:
            yield _dask(client)
    elif hasattr(on, "scheduler_info") and hasattr(on, "map"):
        yield _dask(on)
    else:
        raise UsageError(
            f"on={on!r}: expected 'threads', 'processes', 'serial', 'batch', an "
            "executor, a Dask client or a Dask cluster"
        )


def _dask(client: Client) -> Executor:
    # Imported only now: distributed takes half a second that threads do not need.
    from facility.columnar.executors.dask import Dask

    return Dask(client)
