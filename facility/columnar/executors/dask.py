"""Chunks as futures of a Dask cluster, one coarse task per chunk, summed near the data.

A worker adds the chunks of each run (see :mod:`facility.columnar.reduction`); only these
sums come to the client, each as soon as its run is complete. So a worker that dies
takes with it a few chunks of open runs, which Dask computes again; and what the client
has is never computed again, even if the connection to the scheduler was lost.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import uuid4

from distributed import CancelledError, Client, KilledWorker, as_completed

from facility.columnar.computing import (
    Partial,
    Task,
    add_run,
    compute_serialised,
    serialise,
)
from facility.columnar.errors import ChunkError
from facility.columnar.executors.base import Computed
from facility.columnar.planning import Chunk
from facility.columnar.reduction import runs

RECONNECTIONS = 5
"""So often may the scheduler be lost, and found again, during one run."""

RECONNECT_S = 60
"""For so long is a lost scheduler waited for."""

Run = tuple[Chunk, ...]


class Dask:
    """The workers of a client's cluster."""

    name = "dask"

    def __init__(self, client: Client) -> None:
        self._client = client

    def partials(
        self, task: Task, chunks: Sequence[Chunk]
    ) -> Iterator[Partial | Computed]:
        missing = {
            run.start: tuple(chunks[i] for i in run) for run in runs(len(chunks))
        }
        for _ in range(RECONNECTIONS):
            try:
                for partial in self._attempt(task, tuple(missing.values())):
                    if isinstance(partial, Partial):
                        del missing[partial.reports[0].index]
                    yield partial
            except CancelledError as error:
                chunk = next(iter(missing.values()))[0]
                if not self._is_found_again():
                    raise ChunkError(
                        f"{chunk}: the cluster was closed before it was computed"
                    ) from error
            else:
                return
        raise ChunkError(
            f"{chunk}: the scheduler was lost {RECONNECTIONS} times before it was "
            "computed"
        )

    def _attempt(
        self, task: Task, missing: Sequence[Run]
    ) -> Iterator[Partial | Computed]:
        """Yield what is computed before the connection is lost.

        Raises:
            CancelledError: it was, or the cluster was closed.
        """
        name = uuid4().hex[:12]
        by_key = {f"chunk-{name}-{c.index}": c for run in missing for c in run}
        # Sent once, not with every chunk; a worker that needs it asks another one, and
        # if the last that has it dies, the scheduler makes it again.
        shared = self._client.submit(
            bytes, serialise(task), key=f"task-{name}", pure=False, priority=2
        )
        futures = self._client.map(
            compute_serialised,
            list(by_key.values()),
            task=shared,
            key=list(by_key),
            pure=False,
        )
        computed = iter(futures)
        sums = {}
        for run in missing:
            parts = [next(computed) for _ in run]
            key = f"run-{name}-{run[0].index}"
            # Before any chunk that waits: what is added needs no memory any more.
            sums[key] = self._client.submit(
                add_run, parts, key=key, pure=False, priority=1
            )
            by_key[key] = run[0]
        everything = [*futures, *sums.values()]
        try:
            finished = as_completed(everything, loop=self._client.loop)  # type: ignore[no-untyped-call]
            for future in finished:
                chunk = by_key[future.key]
                if future.key in sums:
                    yield _result(future, chunk)
                elif future.status in ("error", "cancelled"):
                    _result(future, chunk)
                else:  # finished, or lost again since: the scheduler sees to that
                    yield Computed(chunk.index)
                # The scheduler keeps of it what a sum still needs, and no more.
                future.release()
        finally:
            if pending := [f for f in everything if f.status == "pending"]:
                self._client.cancel(pending)  # type: ignore[no-untyped-call]

    def _is_found_again(self) -> bool:
        """Wait while the client looks for its scheduler; return whether it has it."""
        deadline = time.monotonic() + RECONNECT_S
        while self._client.status == "connecting" and time.monotonic() < deadline:
            time.sleep(0.05)
        return bool(self._client.status == "running")


def _result(future: Any, chunk: Chunk) -> Partial:
    """Return a future's result, or raise what it ended with; that names the chunk."""
    try:
        result: Partial = future.result()
    except KilledWorker as error:
        raise ChunkError(
            f"{chunk}: {error.allowed_failures + 1} workers died while computing it; "
            "it may need more memory than a worker has: take smaller chunks or larger "
            "workers"
        ) from error
    return result
