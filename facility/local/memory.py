"""How much memory may still be used: the machine's, or what a cgroup leaves of it."""

from __future__ import annotations

from pathlib import Path

import psutil

CGROUPS = Path("/sys/fs/cgroup")


def available_memory(root: Path = CGROUPS, membership: Path | None = None) -> int:
    """Return the bytes that new processes can use before something is killed.

    The smallest of the machine's available memory and what each cgroup above this
    process leaves, files that can be dropped not counted (cgroup v2 and v1).
    """
    membership = membership or Path("/proc/self/cgroup")
    available = psutil.virtual_memory().available
    for line in membership.read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            left = _headroom(root, path, "memory.max", "memory.current")
        elif "memory" in controllers.split(","):
            left = _headroom(
                root / "memory", path, "memory.limit_in_bytes", "memory.usage_in_bytes"
            )
        else:
            continue
        available = min([available, *left])
    return available


def _headroom(root: Path, path: str, limit: str, usage: str) -> list[int]:
    group = root / path.lstrip("/")
    found = []
    for directory in (group, *group.parents):
        try:
            most = (directory / limit).read_text().strip()
            used = int((directory / usage).read_text())
            lines = (directory / "memory.stat").read_text().splitlines()
            statistics = dict(line.split() for line in lines)
        except OSError:  # a root without limits, or a group hidden by a namespace
            pass
        else:
            if most != "max":
                droppable = int(statistics.get("inactive_file", 0))
                found.append(max(0, int(most) - used + droppable))
        if directory == root:
            break
    return found
