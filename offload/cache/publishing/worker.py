"""The publisher's threads: some work through the queue, one polls and tidies up."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial

from facility.errors import FacilityError
from offload.cache.publishing.publisher import Publisher
from offload.cache.publishing.queue import Queue

_AT_ONCE = 3
"""Names that are worked on at once: a small change need not wait for a large image."""
_SHORTEST_S = 0.05
_LONGEST_S = 30.0
_TIDY_S = 3600.0
_FIRST_TIDY_S = 600.0
"""After the start; there is more urgent work then."""

log = logging.getLogger("facility.publisher")


class Worker:
    """Runs until :meth:`stop`.

    Args:
        publisher: does what a name asks for.
        queue: of names.
        poll: asks registries what no event told.
        tidy: removes what is due, once an hour.
        poll_s: seconds between two polls.
    """

    def __init__(
        self,
        publisher: Publisher,
        queue: Queue,
        poll: Callable[[], object],
        tidy: Callable[[], object],
        poll_s: float,
    ) -> None:
        self._publisher = publisher
        self._queue = queue
        self._poll = poll
        self._tidy = tidy
        self._poll_s = poll_s
        self._woken = threading.Condition()
        self._wakes = 0
        self._stopping = threading.Event()
        self._threads = [
            *(threading.Thread(target=self._publish) for _ in range(_AT_ONCE)),
            threading.Thread(target=self._look, name="poll"),
        ]

    def start(self) -> None:
        """Begin; the process is the only one that works on the queue.

        Raises:
            NoSpaceError: the queue's disk is full.
        """
        self._queue.recover(time.time())
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Tell that something is in the queue."""
        with self._woken:
            self._wakes += 1
            self._woken.notify_all()

    def stop(self) -> None:
        """End after what is being done; what waits, waits for the next start.

        Who does not wait for that long may kill the process: that is no crash.
        """
        self._stopping.set()
        self.wake()
        self._safely(self._queue.excuse)
        for thread in self._threads:
            thread.join()

    def _publish(self) -> None:
        while not self._stopping.is_set():
            wakes = self._wakes
            try:
                if self._publisher.step():
                    continue
                due = self._queue.next_due()
            except (FacilityError, OSError) as error:  # the queue's disk is full
                log.warning("publishing goes on in a while: %s", error)
                due = time.time() + 1.0
            except Exception:  # we have erred
                log.exception("publishing goes on in a while")
                due = time.time() + 1.0
            left_s = _LONGEST_S if due is None else due - time.time()
            # What is due and not to be had has to be worked on alone.
            wait_s = min(max(left_s, _SHORTEST_S), _LONGEST_S)
            with self._woken:
                # Not who was woken counts, but whether: each may have missed it.
                self._woken.wait_for(partial(self._is_woken, wakes), wait_s)

    def _is_woken(self, wakes: int) -> bool:
        return self._wakes != wakes or self._stopping.is_set()

    def _look(self) -> None:
        tidy_at = time.monotonic() + _FIRST_TIDY_S
        while not self._stopping.is_set():
            self._safely(self._poll)
            self.wake()
            if time.monotonic() >= tidy_at:
                self._safely(self._tidy)
                tidy_at = time.monotonic() + _TIDY_S
            self._stopping.wait(self._poll_s)

    def _safely(self, do: Callable[[], object]) -> None:
        try:
            do()
        except (FacilityError, OSError) as error:
            log.warning("later: %s", error)
        except Exception:  # publishing goes on
            log.exception("later")
