"""Chunks in processes of this machine, any of which may die.

Each is a fresh interpreter with one end of a socket pair: nothing is forked, the main
module is not imported again, and what a notebook defines travels by value. It ends when
its owner does, however that ends; when it dies itself, its chunks go to another one.
"""

from __future__ import annotations

import os
import pickle
import signal
import socket
import subprocess
import sys
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from multiprocessing.connection import Connection, wait

from facility.columnar.computing import Partial, Task, serialise
from facility.columnar.errors import ChunkError
from facility.columnar.executors.local import cores
from facility.columnar.executors.outcome import Failure
from facility.columnar.planning import Chunk
from facility.errors import FacilityError, UsageError
from facility.malloc import MALLOC

DEATHS = 3
"""So many processes may die while they compute the same chunk before we give up."""

STILLBORN = 8
"""So many may die while they start, one after the other, before we give up."""

AHEAD = 2
"""Chunks that a process has: it need not wait while results are added here."""

END_S = 5.0
"""Longest time that an idle process takes to end before it is killed."""


class Processes:
    """As many processes as there are cores, for one run.

    Args:
        count: of processes, if not one for each core.
    """

    name = "processes"

    def __init__(self, count: int | None = None) -> None:
        if count is not None and count < 1:
            raise UsageError(f"Processes(count=...): expected at least 1, got {count}")
        self._count = count or cores()

    def partials(self, task: Task, chunks: Sequence[Chunk]) -> Iterator[Partial]:
        """Yield results as they come.

        Raises:
            ChunkError: a chunk failed, or :data:`DEATHS` processes died of it.
            FacilityError: processes die while they start.
        """
        greeting = pickle.dumps((sys.path, serialise(task)))
        pool = _Pool(greeting, chunks)
        try:
            for _ in range(min(self._count, len(chunks))):
                pool.start()
            yield from pool.results()
        finally:
            pool.end()


class _Worker:
    """One process, and the chunks that it has."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-P",
                    "-m",
                    f"{__package__}.process_worker",
                    str(theirs.fileno()),
                ],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env=os.environ | MALLOC,
                process_group=0,  # Ctrl-C is for us: we end it
            )
        self.connection = Connection(ours.detach())
        self.has_started = False
        self.chunks: deque[Chunk] = deque()

    def end(self) -> str:
        """End it, at once if it computes; return how it ended."""
        self.connection.close()
        if self.chunks:
            self._process.kill()
        try:
            code = self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"


class _Pool:
    """Processes, chunks that none has yet, and what has died."""

    def __init__(self, greeting: bytes, chunks: Sequence[Chunk]) -> None:
        self._greeting = greeting
        self._left = deque(chunks)
        self._missing = len(chunks)
        self._workers: dict[Connection, _Worker] = {}
        self._deaths: Counter[Chunk] = Counter()
        self._stillborn = 0

    def start(self) -> None:
        worker = _Worker()
        self._workers[worker.connection] = worker

    def results(self) -> Iterator[Partial]:
        greeted: set[Connection] = set()
        while self._missing:
            # The task may be large: a process reads it when it has started, and all
            # of them start at the same time.
            for connection in self._workers.keys() - greeted:
                greeted.add(connection)
                self._send(self._workers[connection], self._greeting)
            for ready in wait(list(self._workers)):
                assert isinstance(ready, Connection)
                result = self._received(self._workers[ready])
                if isinstance(result, Failure):
                    raise result.error
                if result is not None:
                    self._missing -= 1
                    yield result

    def end(self) -> None:
        for worker in self._workers.values():
            worker.end()
        self._workers.clear()

    def _received(self, worker: _Worker) -> Partial | Failure | None:
        """Return what a process has to say; none if it has started, or died."""
        try:
            message = worker.connection.recv_bytes()
        except (EOFError, OSError):
            self._has_died(worker)
            return None
        result: Partial | Failure | None = None
        if worker.has_started:
            worker.chunks.popleft()
            result = pickle.loads(message)  # noqa: S301 - our own child
        else:
            worker.has_started, self._stillborn = True, 0
        self._feed(worker)
        return result

    def _feed(self, worker: _Worker) -> None:
        while self._left and len(worker.chunks) < AHEAD:
            chunk = self._left.popleft()
            worker.chunks.append(chunk)
            self._send(worker, pickle.dumps(chunk))

    def _send(self, worker: _Worker, message: bytes) -> None:
        with suppress(OSError):  # it has died, as the next wait says
            worker.connection.send_bytes(message)

    def _has_died(self, worker: _Worker) -> None:
        """Give its chunks back and start another.

        Raises:
            ChunkError: too many have died of the chunk that it computed.
            FacilityError: too many have died while they started.
        """
        del self._workers[worker.connection]
        how = worker.end()
        self._stillborn += not worker.has_started
        if self._stillborn == STILLBORN:
            raise FacilityError(
                f"{STILLBORN} processes died while they started (the last: {how}); what "
                "they said is above, or in the log of this notebook server"
            )
        for chunk in islice(worker.chunks, 1):  # the others had not been begun
            self._deaths[chunk] += 1
            if self._deaths[chunk] == DEATHS:
                raise ChunkError(
                    f"{chunk}: {DEATHS} processes died while computing it (the last: "
                    f"{how}); it may need more memory than there is: take smaller "
                    "chunks or fewer processes"
                )
        self._left.extendleft(reversed(worker.chunks))
        self.start()
