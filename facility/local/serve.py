"""One supervisor per directory, from the first process to the last."""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
from collections.abc import Callable

from facility.errors import FacilityError
from facility.local.lock import try_lock
from facility.local.paths import Place
from facility.local.supervisor import Supervisor
from facility.local.table import ProcessSpec, process_table
from facility.runtime import Runtime

OPEN_FILES = 65536
"""Every browser tab holds connections of the proxy; the usual 1024 are few."""
PATIENCE_S = 1.0
"""Who holds the lock for longer is a supervisor."""


def lock_supervision(place: Place) -> int:
    """Become the one supervisor of a directory: a descriptor to keep open.

    Raises:
        FacilityError: there is one already.
    """
    lock = try_lock(place.supervisor_lock, PATIENCE_S)
    if lock is None:
        raise FacilityError(
            f"the facility of {place.directory} runs already: `facility down` stops it"
        )
    return lock


def serve(
    runtime: Runtime,
    lock: int,
    on_ready: Callable[[], None] = lambda: None,
    table: Callable[[Runtime], tuple[ProcessSpec, ...]] = process_table,
) -> int:
    """Supervise a table until a signal; return 0, or 1 if the facility gave up.

    ``lock`` comes from :func:`lock_supervision` and is released at the end. The run
    directory is gone then, unless the facility gave up: its ledger says why.
    """
    try:
        _raise_open_files()
        supervisor = Supervisor(runtime, table(runtime))
        error = asyncio.run(supervisor.run(on_ready))
        if not error:
            shutil.rmtree(runtime.run_dir, ignore_errors=True)
    finally:
        os.close(lock)
    return 1 if error else 0


def _raise_open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
