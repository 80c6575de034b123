"""Work that is done ahead of time, so that nobody waits for it later."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Hashable

from facility.errors import FacilityError

_THREADS = 2


class Background:
    """A few threads for work that may as well not happen.

    What fails here is tried, and said, by whoever needs it. A process that ends does
    not wait.
    """

    def __init__(self) -> None:
        self._work: queue.SimpleQueue[tuple[Hashable, Callable[[], object]]]
        self._work = queue.SimpleQueue()
        self._known: set[Hashable] = set()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    def do(self, name: Hashable, function: Callable[[], object]) -> None:
        """Do something soon; nothing happens if the same is waiting or being done."""
        with self._lock:
            if name in self._known:
                return
            self._known.add(name)
            self._work.put((name, function))
            if len(self._threads) < _THREADS:
                thread = threading.Thread(target=self._run, name="ahead", daemon=True)
                self._threads.append(thread)
                thread.start()

    def _run(self) -> None:
        while True:
            name, function = self._work.get()
            try:
                function()
            except (FacilityError, OSError):
                pass
            finally:
                with self._lock:
                    self._known.discard(name)
