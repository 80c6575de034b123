"""Processes that may not be our children: told apart, watched and ended safely.

A pid alone names nothing: it is used again. Pid, start time and boot together do.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@cache
def boot_id() -> str:
    """Return the kernel's name for the time since it was started."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """One process of one boot."""

    pid: int
    start_ticks: int
    """Start time in clock ticks since boot (proc(5), field 22 of ``stat``)."""
    boot: str

    def to_json(self) -> dict[str, int | str]:
        return {"pid": self.pid, "start_ticks": self.start_ticks, "boot": self.boot}

    @classmethod
    def from_json(cls, data: object) -> ProcessIdentity:
        """Read what :meth:`to_json` wrote.

        Raises:
            ValueError: it is something else.
        """
        match data:
            case {"pid": int(pid), "start_ticks": int(ticks), "boot": str(boot)}:
                return cls(pid, ticks, boot)
            case _:
                raise ValueError(f"expected pid, start_ticks and boot, got {data!r}")

    def is_alive(self) -> bool:
        """Whether this very process runs; a zombie does not."""
        return self == identify(self.pid)


def identify(pid: int) -> ProcessIdentity | None:
    """Return who has this pid now; ``None`` for nobody and for a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The command, in parentheses, may hold spaces and parentheses itself.
    fields = stat.rpartition(")")[2].split()
    if fields[0] in {"Z", "X"}:
        return None
    return ProcessIdentity(pid, int(fields[19]), boot_id())


async def wait_gone(process: ProcessIdentity, timeout_s: float | None = None) -> bool:
    """Wait until the process has ended; return whether it has.

    Works for processes that are not our children, without polling.
    """
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return True
    if not process.is_alive():  # ended, or the pid was used again, before we opened it
        os.close(handle)
        return True
    loop = asyncio.get_running_loop()
    gone: asyncio.Future[None] = loop.create_future()

    def ended() -> None:
        if not gone.done():
            gone.set_result(None)

    loop.add_reader(handle, ended)
    try:
        await asyncio.wait_for(gone, timeout_s)
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(handle)
        os.close(handle)
    return True


def send_signal(process: ProcessIdentity, number: signal.Signals) -> None:
    """Signal this very process; no error if it is gone, never another's pid."""
    with contextlib.suppress(ProcessLookupError):
        handle = os.pidfd_open(process.pid)
        try:
            if process.is_alive():
                signal.pidfd_send_signal(handle, number)
        finally:
            os.close(handle)


async def end(process: ProcessIdentity, *, grace_s: float) -> bool:
    """SIGTERM, then SIGKILL after ``grace_s``; return whether it has ended."""
    send_signal(process, signal.SIGTERM)
    if await wait_gone(process, grace_s):
        return True
    send_signal(process, signal.SIGKILL)
    return await wait_gone(process, 5)


def leads_another(leader: ProcessIdentity) -> bool:
    """Whether the session of that number is not, or not any more, this process's.

    After a restart of the machine, or when the pid was used again, it is somebody
    else's. A pid is not used again before the last of its session has ended.
    """
    if leader.boot != boot_id():
        return True
    now = identify(leader.pid)
    return now is not None and now != leader


def session_members(leader: ProcessIdentity, *, uid: int) -> list[ProcessIdentity]:
    """Return a user's living processes in the session that this process began.

    The process itself may have ended (proc(5), field 6 of ``stat``).
    """
    members: list[ProcessIdentity] = []
    if leads_another(leader):
        return members
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            is_theirs = int(fields[3]) == leader.pid and entry.stat().st_uid == uid
        except OSError:
            continue
        process = identify(int(entry.name)) if is_theirs else None
        if process is not None:
            members.append(process)
    return members
