"""What a thread of another process has asked for: done as long as it waits for that.

No signal ends what a thread waits for in the kernel, not even the one that ends its
process: it is for who answers to see that nobody waits any more.
"""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Protocol, TypeVar

Result = TypeVar("Result")

PROCESSES = Path("/proc")
_LOOK_S = 0.2
_KILLED = 1 << signal.SIGKILL - 1
_SIGNALS = ("SigPnd", "ShdPnd")


class Doing(Protocol):
    """Does some work, however long that takes, or gives it up."""

    def __call__(self, work: Callable[[], Result]) -> Result: ...


def done(work: Callable[[], Result]) -> Result:
    """Return what some work returns, whoever waits for that."""
    return work()


def done_while_asked(work: Callable[[], Result], asker: int) -> Result:
    """Return what some work returns, if the thread that asked for it is there so long.

    Args:
        work: done in a thread of its own, to its end.
        asker: the thread's ID, as this process sees it; 0 if it cannot.

    Raises:
        InterruptedError: it has ended, or is being killed.
        BaseException: as the work does.
    """
    future: Future[Result] = Future()

    def do() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 -- it is raised below
            future.set_exception(error)

    threading.Thread(target=do, daemon=True).start()
    while not wait([future], _LOOK_S).done:
        if not is_asking(asker):
            raise InterruptedError(errno.EINTR, os.strerror(errno.EINTR))
    return future.result()


def is_asking(thread: int) -> bool:
    """Whether a thread is there and nobody kills it, as far as can be seen (proc(5))."""
    try:
        status = (PROCESSES / f"{thread}/status").read_text(errors="replace")
    except OSError:
        return thread == 0 or not (PROCESSES / "self").exists()
    said = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    if said.get("State", "")[:1] in {"X", "Z"}:
        return False
    return not any(int(said.get(name, "0"), 16) & _KILLED for name in _SIGNALS)
