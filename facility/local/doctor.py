"""What this machine has, and what the absence of each thing means."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from facility.errors import UsageError
from facility.local.paths import Storage
from facility.local.ports import choose_ports, load_ports
from facility.local.preflight import DISK, MEMORY, OPEN_FILES, Machine
from facility.spec import Facility, Site, SiteKind
from facility.spec.units import format_bytes
from facility.text import counted


class Verdict(StrEnum):
    """What a check found."""

    OK = "ok"
    ABSENT = "absent"
    """Something works less well, or not at all, without it."""
    MISSING = "missing"
    """The facility cannot run without it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One checked thing."""

    name: str
    verdict: Verdict
    found: str
    meaning: str = ""
    """What the absence means and what to do; empty if all is well."""


def examine(storage: Storage, spec: Facility, *, is_running: bool) -> list[Finding]:
    """Check everything; the order is the order of importance."""
    machine = Machine.measure(storage.state_dir)
    return [
        _python(),
        _ports(storage, spec, is_running=is_running),
        _amount("memory", machine.memory_bytes, MEMORY, is_running=is_running),
        _amount("disk", machine.disk_bytes, DISK, is_running=is_running),
        _open_files(machine.open_files),
        _gpu(),
        cgroups(),
        *(_command(*row) for row in COMMANDS),
        *(_site(site) for site in spec.sites),
        _fuse(),
        _cvmfs(),
    ]


COMMANDS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    (
        "slurm",
        ("sbatch",),
        "jobs cannot be sent to Slurm from here; sites reached by SSH are not affected",
    ),
    (
        "sandbox",
        ("apptainer", "bwrap"),
        "no snapshot can be bound at its own path without privileges: install one",
    ),
)
"""Name, commands of which one is enough, what their absence means."""


def _python() -> Finding:
    # The package cannot be installed for a Python that is too old.
    return Finding("python", Verdict.OK, platform.python_version())


def _ports(storage: Storage, spec: Facility, *, is_running: bool) -> Finding:
    kept = load_ports(storage.state_dir / "ports.json")
    if is_running and kept is not None:
        return Finding("ports", Verdict.OK, f"in use by this facility: {kept.hub}")
    try:
        ports = choose_ports(
            storage.id,
            spec.hub.bind,
            spec.hub.port,
            kept,
            reserved=os.geteuid() == 0,
        )
    except UsageError as error:
        return Finding("ports", Verdict.MISSING, "not free", str(error))
    return Finding("ports", Verdict.OK, f"free, the hub's would be {ports.hub}")


def _amount(name: str, have: int, need: int, *, is_running: bool) -> Finding:
    text = f"{format_bytes(have)} free"
    if have >= need or is_running:
        return Finding(name, Verdict.OK, text)
    return Finding(name, Verdict.MISSING, text, f"a start needs {format_bytes(need)}")


def _open_files(limit: int | None) -> Finding:
    text = "unlimited" if limit is None else f"limit {limit}"
    if limit is None or limit >= OPEN_FILES:
        return Finding("open files", Verdict.OK, text)
    meaning = f"the proxy needs {OPEN_FILES}: `ulimit -Hn {OPEN_FILES}`"
    return Finding("open files", Verdict.MISSING, text, meaning)


def _gpu() -> Finding:
    meaning = "analyses run on CPUs, and slices of facility.yaml are virtual"
    command = shutil.which("nvidia-smi")
    if command is None:
        return Finding("gpu", Verdict.ABSENT, "no nvidia-smi", meaning)
    query = (command, "--query-gpu=name,memory.total,mig.mode.current", "--format=csv")
    try:
        answer = subprocess.run(
            query, capture_output=True, text=True, timeout=20, check=True
        )
    except (subprocess.SubprocessError, OSError) as error:
        return Finding("gpu", Verdict.ABSENT, f"nvidia-smi failed: {error}", meaning)
    devices = answer.stdout.splitlines()[1:]
    if not devices:
        return Finding("gpu", Verdict.ABSENT, "driver without device", meaning)
    return Finding("gpu", Verdict.OK, "; ".join(devices))


def cgroups(root: Path = Path("/sys/fs/cgroup"), own: str | None = None) -> Finding:
    """Say which cgroups there are and whether we may make some of our own."""
    meaning = (
        "limits of workers are kept by Dask (it ends a worker above its memory), not "
        "by the kernel"
    )
    if own is None:
        own = Path("/proc/self/cgroup").read_text()
    groups = dict(line.split(":", 2)[1:] for line in own.splitlines())
    if (root / "cgroup.controllers").exists():
        path, version = root / groups.get("", "/").lstrip("/"), "v2"
    elif (root / "memory").is_dir():
        path, version = root / "memory" / groups.get("memory", "/").lstrip("/"), "v1"
    else:
        return Finding("cgroups", Verdict.ABSENT, "none", meaning)
    if os.access(path, os.W_OK):
        return Finding("cgroups", Verdict.OK, f"{version}, writable")
    return Finding("cgroups", Verdict.ABSENT, f"{version}, not writable", meaning)


def _command(
    name: str,
    commands: tuple[str, ...],
    meaning: str,
    which: Callable[[str], str | None] = shutil.which,
) -> Finding:
    for command in commands:
        path = which(command)
        if path is not None:
            return Finding(name, Verdict.OK, path)
    return Finding(name, Verdict.ABSENT, f"no {' or '.join(commands)}", meaning)


def _site(site: Site, which: Callable[[str], str | None] = shutil.which) -> Finding:
    """Say how a site is reached, and what is missing here for that."""
    name = f"site {site.name}"
    if site.host is not None:
        ask = f"`facility site check {site.name}` asks it"
        return Finding(name, Verdict.OK, f"by SSH at {site.host}: {ask}")
    if site.keys:
        found = f"dials in ({counted(len(site.keys), 'key')})"
        return Finding(name, Verdict.OK, found)
    if site.kind is SiteKind.SLURM and which("sbatch") is None:
        meaning = (
            "jobs for it wait until there is one: install Slurm's client, or give the "
            "site a host"
        )
        return Finding(name, Verdict.ABSENT, "no sbatch on this machine", meaning)
    return Finding(name, Verdict.OK, f"this machine ({site.kind.value})")


def _fuse() -> Finding:
    if os.access("/dev/fuse", os.R_OK | os.W_OK):
        return Finding("fuse", Verdict.OK, "/dev/fuse")
    return Finding(
        "fuse",
        Verdict.ABSENT,
        "no usable /dev/fuse",
        "file trees of the cache are unpacked instead of mounted",
    )


def _cvmfs() -> Finding:
    root = Path("/cvmfs")
    if root.is_dir() and (os.path.ismount(root) or any(root.iterdir())):
        return Finding("cvmfs", Verdict.OK, str(root))
    return Finding(
        "cvmfs",
        Verdict.ABSENT,
        "no /cvmfs",
        "experiments' software is not at hand; the facility's own environment is",
    )
