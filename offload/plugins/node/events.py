"""What the wrapper waits for: signals, ends of processes, and time."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable, Collection
from contextlib import suppress

from offload.plugins.node.identity import NodeProcess

STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGXCPU)
"""Signals by which a scheduler, or a person, asks a job to end."""
STOPPED = "FACILITY_STOPPED"
"""Variable that tells a wrapper of such a signal: it came before the wrapper could."""


class Events:
    """The signals of this process, and a wait that ends with any of them."""

    def __init__(self) -> None:
        self.stop_signal: signal.Signals | None = None
        if os.environ.get(STOPPED):
            self.stop_signal = signal.SIGTERM
        self._reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in STOPPING:
            signal.signal(number, self._stop)

    def _stop(self, number: int, _frame: object) -> None:
        self.stop_signal = signal.Signals(number)

    def wait(self, timeout_s: float, processes: Collection[NodeProcess]) -> None:
        """Return after a signal, the end of a process, or the time."""
        poll = select.poll()
        poll.register(self._reader, select.POLLIN)
        handles = [handle for p in processes if (handle := p.open()) is not None]
        if len(handles) < len(processes):
            timeout_s = 0
        for handle in handles:
            poll.register(handle, select.POLLIN)
        try:
            poll.poll(max(0, timeout_s) * 1000)
        finally:
            for handle in handles:
                os.close(handle)
        with suppress(BlockingIOError):
            os.read(self._reader, 4096)

    def wait_until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until something holds that no signal tells; return whether it does."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.002)
        return True
