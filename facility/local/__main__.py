"""``python -m facility.local``: the supervisor that ``facility up`` leaves behind."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable

from facility.local.paths import Place
from facility.local.serve import lock_supervision, serve
from facility.local.table import ProcessSpec, process_table
from facility.runtime import Runtime


def main(
    table: Callable[[Runtime], tuple[ProcessSpec, ...]] = process_table,
) -> int:
    """Supervise the facility of ``FACILITY_RUNTIME`` until SIGTERM, as a daemon.

    The process that was started ends with 0 once its child is the one supervisor.
    """
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    # httpx tells of every request it makes.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # The terminal that it was started from may close.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    runtime = Runtime.from_environment()
    lock = lock_supervision(Place.of(runtime.directory))
    if os.fork():
        # The lock lives on in the child.
        os._exit(0)
    return serve(runtime, lock, table=table)


if __name__ == "__main__":
    sys.exit(main())
