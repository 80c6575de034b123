"""``facility up``: check, prepare, start one supervisor, wait until all answer."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from facility.errors import FacilityError
from facility.local.changes import changed_keys
from facility.local.core import Phase
from facility.local.ledger import Ledger
from facility.local.lock import is_locked, locked
from facility.local.logs import last_lines, log_file, open_log
from facility.local.offloading import check_offload, prepare_offload
from facility.local.paths import Place, Storage
from facility.local.people import check_people
from facility.local.ports import choose_ports, load_ports, save_ports
from facility.local.preflight import check_machine
from facility.local.publishing import check_publisher, prepare_publisher
from facility.local.secrets import ensure_secrets
from facility.local.serve import lock_supervision, serve
from facility.local.table import environment_of
from facility.marked import end_marked, marked_processes
from facility.runtime import Runtime
from facility.spec import Facility

TIMEOUT_S = 180.0
POLL_S = 0.03
ENDING_S = 5.0
"""A supervisor whose files are gone needs less to be gone itself."""

SUPERVISOR = (sys.executable, "-m", "facility.local")

Progress = Callable[[Ledger], None]


@dataclass(frozen=True, slots=True)
class Started:
    """A facility that answers."""

    runtime: Runtime
    was_running: bool
    changed: tuple[str, ...]
    """Keys of ``facility.yaml`` that a restart would apply."""
    seconds: float


def start(
    directory: Path,
    spec: Facility,
    progress: Progress = lambda _: None,
    supervisor: tuple[str, ...] = SUPERVISOR,
) -> Started:
    """Ensure that the directory's facility runs and answers.

    Idempotent, also when called twice at once. Processes that a killed supervisor left
    behind are adopted if the configuration is still the same, else ended first.

    Raises:
        UsageError: the machine does not fit (memory, disk, ports).
        FacilityError: a process does not come up; the line says which and why.
    """
    begin = time.monotonic()
    place = Place.of(directory)
    place.ensure()
    while True:
        with locked(place.command_lock):
            running = running_runtime(place)
            runtime = running or _prepare(place, spec)
            if running is None and not _launch(place, runtime, supervisor):
                continue
        if _wait_ready(place, runtime, progress):
            break
        if running is None:
            raise _failure(runtime)
        # The supervisor that we found was about to end: start another one.
    return Started(
        runtime=runtime,
        was_running=running is not None,
        changed=tuple(changed_keys(runtime.spec, spec)),
        seconds=time.monotonic() - begin,
    )


def start_in_foreground(
    directory: Path, spec: Facility, on_ready: Callable[[Runtime], None]
) -> int:
    """Supervise in this process until Ctrl-C or SIGTERM; return its exit code.

    Raises:
        FacilityError: it runs already, or a process does not come up.
    """
    place = Place.of(directory)
    place.ensure()
    with locked(place.command_lock):
        lock = lock_supervision(place)
        runtime = _prepare(place, spec)
    code = serve(runtime, lock, lambda: on_ready(runtime))
    if code:
        raise _failure(runtime)
    return code


def running_runtime(place: Place) -> Runtime | None:
    """Return the runtime of the facility that runs here; ``None`` if none does."""
    storage = place.last_storage()
    deadline = time.monotonic() + ENDING_S
    while storage is not None and is_locked(place.supervisor_lock):
        try:
            return Runtime.load(storage.runtime_file)
        except FileNotFoundError:
            # It is about to end: the file goes before the lock.
            if time.monotonic() > deadline:
                break
            time.sleep(POLL_S)
    return None


def _prepare(place: Place, spec: Facility) -> Runtime:
    """Make everything that the processes need; the supervisor adopts what is left."""
    former = _former_runtime(place)
    if former is not None:
        if former.spec == spec and marked_processes(former.id):
            return former
        asyncio.run(end_marked(former.id))
        shutil.rmtree(former.run_dir, ignore_errors=True)
    storage = place.storage(spec.name, spec.storage.state)
    check_people(spec, _owner(), is_root=os.geteuid() == 0)
    check_offload(spec, _owner())
    check_publisher(spec)
    check_machine(storage.state_dir)
    storage.ensure()
    ensure_secrets(storage.secrets_dir)
    runtime = _new_runtime(place, storage, spec)
    prepare_offload(runtime)
    prepare_publisher(runtime)
    runtime.save().chmod(0o600)
    place.remember(storage)
    return runtime


def _former_runtime(place: Place) -> Runtime | None:
    storage = place.last_storage()
    if storage is None:
        return None
    try:
        return Runtime.load(storage.runtime_file)
    except FileNotFoundError:  # it was stopped properly
        return None
    except ValidationError:  # written by another version: its processes go
        asyncio.run(end_marked(storage.id))
        shutil.rmtree(storage.run_dir, ignore_errors=True)
        return None


def _new_runtime(place: Place, storage: Storage, spec: Facility) -> Runtime:
    ports_file = storage.state_dir / "ports.json"
    ports = choose_ports(
        storage.id,
        spec.hub.bind,
        spec.hub.port,
        load_ports(ports_file),
        reserved=os.geteuid() == 0,
    )
    save_ports(ports_file, ports)
    return Runtime(
        id=storage.id,
        directory=place.directory,
        state_dir=storage.state_dir,
        run_dir=storage.run_dir,
        owner=_owner(),
        multi_user=os.geteuid() == 0,
        ports=ports,
        spec=spec,
    )


def _owner() -> str:
    """Return our name by our uid, not by variables that ``su`` may have left."""
    return pwd.getpwuid(os.geteuid()).pw_name


def _launch(place: Place, runtime: Runtime, command: tuple[str, ...]) -> bool:
    """Start the supervisor in a session of its own; return once it holds its lock.

    ``False`` if another one does: who was killed here had just started it.
    """
    output = open_log(log_file(runtime.log_dir, "supervisor"))
    try:
        launched = subprocess.run(
            command,
            env=environment_of(runtime),
            cwd=runtime.state_dir,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            check=False,
        )
    finally:
        os.close(output)
    if launched.returncode == 0:
        return True
    if is_locked(place.supervisor_lock):
        return False
    raise _failure(runtime)


def _wait_ready(place: Place, runtime: Runtime, progress: Progress) -> bool:
    """Wait until all answer; ``False`` if the supervisor ends before."""
    path = runtime.run_dir / "processes.json"
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        is_served = is_locked(place.supervisor_lock)
        ledger = Ledger.load(path)
        # What a killed supervisor wrote is there until its successor writes.
        if ledger is not None and ledger.supervisor.is_alive():
            progress(ledger)
            if ledger.phase is Phase.READY:
                return True
        if not is_served:
            return False
        time.sleep(POLL_S)
    raise FacilityError(
        f"not ready after {TIMEOUT_S:.0f} s: see `facility status` and `facility logs`"
    )


def _failure(runtime: Runtime) -> FacilityError:
    """Say why the supervisor left: its ledger knows, or the last line of its log."""
    if not runtime.run_dir.exists():
        return FacilityError("`facility down` has stopped it while it started")
    ledger = Ledger.load(runtime.run_dir / "processes.json")
    if ledger is None or not ledger.error:
        path = log_file(runtime.log_dir, "supervisor")
        tail = last_lines(path, 1)
        return FacilityError(
            f"the supervisor ended: {tail[0] if tail else 'it said nothing'} (log: "
            f"{path})"
        )
    name = ledger.error.partition(" ")[0]
    path = log_file(runtime.log_dir, name)
    tail = last_lines(path, 1)
    said = f"; its last words: {tail[0].strip()}" if tail else ""
    return FacilityError(f"{ledger.error}{said} (log: {path})")
