"""Hold a process to its cores and memory, by the strongest means we may use.

With a writable cgroup (version 2 delegated to us, or version 1 as root) the kernel
enforces both. Without one, memory is Dask's own limit (spill, pause, and an end at
95 % by ``gateway.preload_worker``), and cores are a choice of CPUs to stay on.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

PERIOD_US = 100_000
ROOT = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Applied:
    """What a new process must do to be limited."""

    procs: tuple[str, ...] = ()
    """``cgroup.procs`` files to write its pid to, while still privileged."""
    cpus: tuple[int, ...] = ()
    """CPUs to stay on; all if empty."""


class Limiter(Protocol):
    """Limits named processes."""

    def limit(self, name: str, *, cores: int, memory: int) -> Applied:
        """Prepare the limits of a process: ``cores``, and ``memory`` in bytes."""

    def release(self, name: str) -> None:
        """Forget an ended process; unknown names are no error."""


def own_cgroups(table: str) -> dict[str, str]:
    """Read ``/proc/self/cgroup``: controller -> path; version 2 under ``""``."""
    groups: dict[str, str] = {}
    for line in table.splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            groups[controller] = path
    return groups


def version_2(own: dict[str, str], root: Path = ROOT) -> dict[str, Path]:
    """Return the folder below which siblings of our own group can be made."""
    if "" not in own or not (root / "cgroup.controllers").exists():
        return {}
    return {"": (root / own[""].lstrip("/")).parent}


def version_1(own: dict[str, str], root: Path = ROOT) -> dict[str, Path]:
    """Return the folders of our own groups of the two controllers that we need."""
    if not {"memory", "cpu"} <= own.keys():
        return {}
    return {c: root / c / own[c].lstrip("/") for c in ("memory", "cpu")}


def settings(controller: str, cores: int, memory: int) -> dict[str, str]:
    """Return which files of a new group hold its limits, and their contents."""
    match controller:
        case "":
            return {
                "memory.max": str(memory),
                "memory.oom.group": "1",
                "cpu.max": f"{cores * PERIOD_US} {PERIOD_US}",
            }
        case "memory":
            return {"memory.limit_in_bytes": str(memory)}
        case _:
            return {
                "cpu.cfs_period_us": str(PERIOD_US),
                "cpu.cfs_quota_us": str(cores * PERIOD_US),
            }


class CgroupLimiter:
    """Limits by control groups, one below each of ``parents`` for every process."""

    def __init__(self, facility: str, parents: dict[str, Path]) -> None:
        self._facility = facility
        self._parents = parents

    def works(self) -> bool:
        """Whether a group with limits can be made, and removed again."""
        try:
            self.limit("probe", cores=1, memory=1 << 30)
        except OSError:
            return False
        finally:
            self.release("probe")
        return True

    def limit(self, name: str, *, cores: int, memory: int) -> Applied:
        procs = []
        for controller, group in self._groups(name).items():
            group.mkdir(exist_ok=True)
            for file, value in settings(controller, cores, memory).items():
                (group / file).write_text(value)
            procs.append(str(group / "cgroup.procs"))
        return Applied(procs=tuple(procs))

    def release(self, name: str) -> None:
        for group in self._groups(name).values():
            with contextlib.suppress(OSError):
                group.rmdir()

    def _groups(self, name: str) -> dict[str, Path]:
        return {
            controller: parent / f"{self._facility}-{name}"
            for controller, parent in self._parents.items()
        }


@dataclass(slots=True)
class AffinityLimiter:
    """Gives each process the CPUs that the fewest others have been given."""

    cpus: list[int]
    _given: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def limit(self, name: str, *, cores: int, memory: int) -> Applied:  # noqa: ARG002 - memory is Dask's here
        if cores >= len(self.cpus):
            return Applied()
        load = dict.fromkeys(self.cpus, 0)
        for given in self._given.values():
            for cpu in given:
                load[cpu] += 1
        least_used = sorted(self.cpus, key=lambda cpu: (load[cpu], cpu))
        chosen = tuple(sorted(least_used[:cores]))
        self._given[name] = chosen
        return Applied(cpus=chosen)

    def release(self, name: str) -> None:
        self._given.pop(name, None)


def probe(facility: str) -> Limiter:
    """Return the strongest limiter that works here; tries, does not guess."""
    own = own_cgroups(Path("/proc/self/cgroup").read_text())
    for groups in (version_2(own), version_1(own)):
        limiter = CgroupLimiter(facility, groups)
        if groups and limiter.works():
            return limiter
    return AffinityLimiter(sorted(os.sched_getaffinity(0)))
