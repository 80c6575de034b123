"""Every process of a facility, found by its mark, whoever started it.

The mark is the variable ``FACILITY_ID`` in a process's initial environment
(``/proc/PID/environ``, which a process cannot lose by forking or by changing its own
environment). Descendants of marked processes count too: a person may have started them
with an empty environment. What bears ``ANALYSIS_FACILITY_OUTLIVES`` does not count, nor
what descends from it: those are jobs, which an agent finds again.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from facility.process import ProcessIdentity, end, identify, leads_another
from facility.runtime import MARK, OUTLIVES


@dataclass(frozen=True, slots=True)
class MarkedProcess:
    """One process of a facility."""

    identity: ProcessIdentity
    parent: int
    session: int
    argv: tuple[str, ...]

    @property
    def is_session_leader(self) -> bool:
        return self.session == self.identity.pid

    @property
    def is_ours(self) -> bool:
        """Whether all its user ids are ours: a mark and arguments can be forged."""
        try:
            status = Path(f"/proc/{self.identity.pid}/status").read_text()
        except OSError:
            return False
        ids = next(line for line in status.splitlines() if line.startswith("Uid:"))
        return {int(uid) for uid in ids.split()[1:]} == {os.geteuid()}

    def __str__(self) -> str:
        return f"{self.identity.pid} ({' '.join(self.argv[:4])})"


def marked_processes(facility_id: str) -> list[MarkedProcess]:
    """Return the processes that bear the mark, and their descendants, without us."""
    everything = {process.identity.pid: process for process in _processes()}
    wanted = f"{MARK}={facility_id}".encode()
    found = {pid for pid in everything if wanted in _environment(pid)}
    found.discard(os.getpid())
    children: dict[int, list[int]] = {}
    for pid, process in everything.items():
        children.setdefault(process.parent, []).append(pid)
    queue = list(found)
    while queue:
        for child in children.get(queue.pop(), ()):
            if child not in found and child != os.getpid() and not _outlives(child):
                found.add(child)
                queue.append(child)
    return [everything[pid] for pid in sorted(found)]


async def end_marked(facility_id: str, *, grace_s: float = 3.0) -> list[MarkedProcess]:
    """End them all, SIGTERM first; return what could not be ended (normally none).

    Looks again until nothing is found: processes may be started while others end.
    """
    for _ in range(10):
        found = marked_processes(facility_id)
        if not found:
            return []
        await asyncio.gather(*(end(p.identity, grace_s=grace_s) for p in found))
    return marked_processes(facility_id)


async def end_session(leader: ProcessIdentity) -> None:
    """End what is left in the session of a process that is gone already."""
    if leads_another(leader):
        return
    left = [p for p in _processes() if p.session == leader.pid]
    await asyncio.gather(*(end(p.identity, grace_s=1.0) for p in left))


def _processes() -> Iterator[MarkedProcess]:
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        pid = int(entry.name)
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
            argv = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        identity = identify(pid)
        if identity is None:
            continue
        fields = stat.rpartition(")")[2].split()
        arguments = tuple(os.fsdecode(a) for a in argv.split(b"\0")[:-1])
        yield MarkedProcess(identity, int(fields[1]), int(fields[3]), arguments)


def _outlives(pid: int) -> bool:
    return f"{OUTLIVES}=1".encode() in _environment(pid)


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:  # another user's process, or gone
        return []
