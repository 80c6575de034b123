"""``facility down``: everything that bears the mark ends, and nothing else."""

from __future__ import annotations

import asyncio
import shutil
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from facility.errors import FacilityError
from facility.local.ledger import Ledger
from facility.local.lock import is_locked, locked
from facility.local.paths import Place, Storage
from facility.marked import MarkedProcess, end_marked, marked_processes
from facility.process import send_signal

TIMEOUT_S = 60.0
POLL_S = 0.03


@dataclass(frozen=True, slots=True)
class Stopped:
    """What ``facility down`` did."""

    was_running: bool
    ended: int
    """Processes that ran before and are gone."""
    seconds: float


def stop(directory: Path) -> Stopped:
    """Ensure that nothing of the directory's facility runs.

    Raises:
        FacilityError: something could not be ended; the line names it.
    """
    begin = time.monotonic()
    place = Place.of(directory)
    storage = place.last_storage()
    if storage is None:
        return Stopped(was_running=False, ended=0, seconds=0.0)
    with locked(place.command_lock):
        before = marked_processes(storage.id)
        was_running = is_locked(place.supervisor_lock)
        if was_running:
            _end_supervisor(place, storage)
        asyncio.run(end_marked(storage.id))
        left = marked_processes(storage.id)
        if left:
            raise FacilityError(f"still running: {_names(left)}: end them by hand")
        shutil.rmtree(storage.run_dir, ignore_errors=True)
    return Stopped(was_running, len(before), time.monotonic() - begin)


def _end_supervisor(place: Place, storage: Storage) -> None:
    """Let the supervisor stop everything in order; wait until it is gone."""
    deadline = time.monotonic() + TIMEOUT_S
    asked = False
    while is_locked(place.supervisor_lock) and time.monotonic() < deadline:
        ledger = Ledger.load(storage.ledger_file)
        # A supervisor that has just begun has not written who it is.
        if not asked and ledger is not None and ledger.supervisor.is_alive():
            send_signal(ledger.supervisor, signal.SIGTERM)
            asked = True
        time.sleep(POLL_S)


def _names(processes: list[MarkedProcess]) -> str:
    return ", ".join(str(process) for process in processes)
