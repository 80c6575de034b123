"""A process that computes chunks for the one that started it, and ends with it.

    python -m facility.columnar.executors.process_worker FD

``FD`` is its end of a socket pair. There come the importer's path with the task, then
chunks; back go a greeting, then :func:`~facility.columnar.executors.outcome.outcome` of
each chunk, in order.
"""

from __future__ import annotations

import os
import pickle
import sys
from contextlib import suppress
from multiprocessing.connection import Connection
from queue import SimpleQueue
from threading import Thread

from facility.columnar.executors.outcome import outcome
from facility.columnar.planning import Chunk


def main() -> None:
    """Compute until the other end is closed, by its owner or by its death."""
    home = Connection(int(sys.argv[1]))
    os.set_inheritable(home.fileno(), False)
    sys.path[:], task = pickle.loads(home.recv_bytes())  # noqa: S301 - our own parent
    chunks: SimpleQueue[Chunk] = SimpleQueue()
    Thread(target=_receive, args=(home, chunks), daemon=True).start()
    home.send_bytes(b"")
    while True:
        result, _ = outcome(chunks.get(), task)
        home.send_bytes(result)


def _receive(home: Connection, chunks: SimpleQueue[Chunk]) -> None:
    """Hand on chunks; leave at once, computing or not, when home is gone."""
    try:
        while True:
            chunks.put(pickle.loads(home.recv_bytes()))  # noqa: S301 - our own parent
    except (EOFError, OSError):
        sys.stdout.flush()  # what an analysis printed
        os._exit(0)


if __name__ == "__main__":
    with suppress(EOFError, OSError):  # home is gone before anything was asked
        main()
