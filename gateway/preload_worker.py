"""Loaded by every worker: what it must be, and what it may use.

A worker refuses to work in another environment than the notebook's, and is ended
with a clear line before it uses more memory than it has.
"""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path

import psutil
from distributed import Worker
from tornado.ioloop import PeriodicCallback

from facility.environment import Environment, describe
from facility.spec.units import format_bytes
from gateway.notebook import mismatch
from gateway.peers import admit_own_users_only

logger = logging.getLogger("distributed.worker")

EXPECTED = "FACILITY_EXPECTED_ENVIRONMENT"
"""Environment variable with the path of the notebook's environment, if it is known."""

WATCH_PERIOD_S = 0.2
TERMINATE_FRACTION = 0.95
"""Of the memory limit: where Dask's nanny would end the worker (its default)."""


class EnvironmentMismatchError(RuntimeError):
    """The worker's environment is not the notebook's."""


def read_environment(path: Path) -> Environment:
    """Read what the notebook declared."""
    return Environment.from_json(path.read_text())


async def dask_setup(worker: Worker) -> None:
    """Close the dashboard to others, check the environment, watch the memory."""
    admit_own_users_only(worker.http_server)
    expected = os.environ.get(EXPECTED)
    if expected:
        notebook = await asyncio.to_thread(read_environment, Path(expected))
        different = mismatch(notebook, describe())
        if different is not None:
            message = f"worker {worker.name} refused: {different}"
            # Clients print what is logged under this topic.
            await worker.scheduler.log_event(topic="warn", msg=message)
            raise EnvironmentMismatchError(message)
    if worker.memory_manager.memory_limit:
        watch_memory(worker, worker.memory_manager.memory_limit)


def watch_memory(worker: Worker, limit_bytes: int) -> None:
    """End the process when its resident memory passes 95 % of the limit."""
    process = psutil.Process()

    def check() -> None:
        used = process.memory_info().rss
        if used > TERMINATE_FRACTION * limit_bytes:
            logger.error(
                "Worker %s uses %s of its %s and is ended; ask for more with "
                "new_cluster(worker_memory=...), or make chunks smaller",
                worker.name,
                format_bytes(used),
                format_bytes(limit_bytes),
            )
            os._exit(137)

    callback = PeriodicCallback(check, WATCH_PERIOD_S * 1000)
    callback.start()
    worker.periodic_callbacks["facility-memory"] = callback
