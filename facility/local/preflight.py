"""What must be there before anything is started; each lack is one line."""

from __future__ import annotations

import os
import resource
from dataclasses import dataclass
from pathlib import Path

from facility.errors import UsageError
from facility.local.memory import available_memory
from facility.spec.units import format_bytes

MIB = 2**20
MEMORY = 800 * MIB
"""Hub, gateway, proxy and launcher with one notebook server (525 MiB measured, as
proportional set size), its kernel, and an agent, a site and a job (164 MiB)."""
DISK = 100 * MIB
"""Databases and logs of a first day."""
INODES = 100
OPEN_FILES = 1024


@dataclass(frozen=True, slots=True)
class Machine:
    """What this machine has to spare."""

    memory_bytes: int
    disk_bytes: int
    inodes: int | None
    """``None`` on file systems that do not count them."""
    open_files: int | None
    """Hard limit of the process; ``None`` for no limit."""

    @classmethod
    def measure(cls, state_dir: Path) -> Machine:
        """Look at the machine; ``state_dir`` need not exist yet."""
        existing = next(p for p in (state_dir, *state_dir.parents) if p.exists())
        disk = os.statvfs(existing)
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        return cls(
            memory_bytes=available_memory(),
            disk_bytes=disk.f_bavail * disk.f_frsize,
            inodes=disk.f_favail if disk.f_files else None,
            open_files=None if hard == resource.RLIM_INFINITY else hard,
        )


def lacks(machine: Machine, state_dir: Path) -> list[str]:
    """Return one line for each thing that is missing; empty if all is well."""
    found = []
    if machine.memory_bytes < MEMORY:
        found.append(
            f"not enough memory: hub, gateway, proxy, agents and a notebook server need "
            f"{format_bytes(MEMORY)}, {format_bytes(machine.memory_bytes)} are "
            "available: end other programs, or take a larger machine"
        )
    if machine.disk_bytes < DISK:
        found.append(
            f"not enough disk: {state_dir} needs {format_bytes(DISK)}, "
            f"{format_bytes(machine.disk_bytes)} are free: make room, or set "
            "storage.state to a directory on another disk"
        )
    if machine.inodes is not None and machine.inodes < INODES:
        found.append(
            f"not enough inodes: {state_dir} needs {INODES} files, {machine.inodes} "
            "can be created: remove files, or set storage.state to another disk"
        )
    if machine.open_files is not None and machine.open_files < OPEN_FILES:
        found.append(
            f"too few open files: the proxy needs {OPEN_FILES}, the hard limit is "
            f"{machine.open_files}: raise it with `ulimit -Hn {OPEN_FILES}`"
        )
    return found


def check_machine(state_dir: Path) -> None:
    """Raise unless the machine has what a start needs.

    Raises:
        UsageError: one line for each lack.
    """
    found = lacks(Machine.measure(state_dir), state_dir)
    if found:
        raise UsageError("\n".join(found))
