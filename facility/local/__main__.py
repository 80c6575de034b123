"""``python -m facility.local``: the supervisor that ``facility up`` leaves behind."""

from __future__ import annotations

import logging
import signal
import sys

from facility.local.paths import Place
from facility.local.runtime import Runtime
from facility.local.serve import lock_supervision, serve


def main() -> int:
    """Supervise the facility of ``FACILITY_RUNTIME`` until SIGTERM."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    # httpx tells of every request it makes.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # The terminal that it was started from may close.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    runtime = Runtime.from_environment()
    return serve(runtime, lock_supervision(Place.of(runtime.directory)))


if __name__ == "__main__":
    sys.exit(main())
