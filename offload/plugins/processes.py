"""Processes of the executor ``process``: begun apart, found again by a mark."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping
from pathlib import Path

import psutil

from facility.process import ProcessIdentity, identify

MARK = "FACILITY_SITE_JOB"
"""Variable ``INSTANCE/SUBMISSION`` by which a job's processes are found."""
_KEPT = ("HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "TMPDIR", "USER")


async def spawn(
    folder: Path, mark: str, environment: Mapping[str, str]
) -> ProcessIdentity | None:
    """Start ``job.sh`` of a folder in a session of its own; it outlives the plugin.

    Returns:
        Who that is; ``None`` if it has ended already.

    Raises:
        OSError: it could not be started.
    """
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    with (folder / "0.out").open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            "/bin/sh",
            str(folder / "job.sh"),
            cwd=folder,
            env={**kept, **environment, MARK: mark},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    return identify(process.pid)


def marked(instance: str) -> dict[str, list[ProcessIdentity]]:
    """Return the living processes of an instance, by submission; oldest first."""
    prefix = f"{MARK}={instance}/".encode()
    found: dict[str, list[ProcessIdentity]] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            variables = (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        for variable in variables:
            if variable.startswith(prefix):
                process = identify(int(entry.name))
                if process is not None:
                    name = variable.removeprefix(prefix).decode()
                    found.setdefault(name, []).append(process)
    for processes in found.values():
        processes.sort(key=lambda process: (process.start_ticks, process.pid))
    return found


def end(processes: list[ProcessIdentity], number: signal.Signals) -> None:
    """Signal these very processes; those that are gone are no error.

    SIGKILL takes along what they have started: nobody would be left to end it.
    """
    if number is signal.SIGKILL:
        processes = [*processes, *_descendants(processes)]
    for process in processes:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            handle = os.pidfd_open(process.pid)
            try:
                if process.is_alive():
                    signal.pidfd_send_signal(handle, number)
            finally:
                os.close(handle)


def _descendants(processes: list[ProcessIdentity]) -> list[ProcessIdentity]:
    found: dict[int, ProcessIdentity] = {}
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(process.pid).children(recursive=True):
                identity = identify(child.pid)
                if identity is not None:
                    found[child.pid] = identity
    return list(found.values())
