"""Chunks as futures of a Dask cluster, one coarse task per chunk.

Dask computes a chunk again when its worker dies, and we submit it again when the
connection to the scheduler was lost. Both are harmless: a chunk's result is counted
when its future is seen, and then the chunk is not missing any more.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import uuid4

from distributed import CancelledError, Client, KilledWorker, as_completed

from facility.columnar.computing import (
    Analysis,
    Partial,
    compute_serialised,
    serialise,
)
from facility.columnar.errors import ChunkError
from facility.columnar.planning import Chunk

RECONNECTIONS = 5
"""So often may the scheduler be lost, and found again, during one run."""

RECONNECT_S = 60
"""For so long is a lost scheduler waited for."""


class Dask:
    """The workers of a client's cluster."""

    name = "dask"

    def __init__(self, client: Client) -> None:
        self._client = client

    def partials(
        self, analysis: Analysis, chunks: Sequence[Chunk]
    ) -> Iterator[Partial]:
        missing = {chunk.index: chunk for chunk in chunks}
        for _ in range(RECONNECTIONS):
            try:
                for partial in self._attempt(analysis, tuple(missing.values())):
                    del missing[partial.report.index]
                    yield partial
            except CancelledError as error:
                chunk = next(iter(missing.values()))
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
        self, analysis: Analysis, chunks: Sequence[Chunk]
    ) -> Iterator[Partial]:
        """Yield what is computed before the connection is lost.

        Raises:
            CancelledError: it was, or the cluster was closed.
        """
        run = uuid4().hex[:12]
        by_key = {f"chunk-{run}-{c.index}": c for c in chunks}
        futures = self._client.map(
            compute_serialised,
            chunks,
            analysis=serialise(analysis),
            key=list(by_key),
            pure=False,
        )
        try:
            # Results come along while others are computed: one round trip less each.
            finished = as_completed(  # type: ignore[no-untyped-call]
                futures, loop=self._client.loop, with_results=True, raise_errors=False
            )
            for future, result in finished:
                if not isinstance(result, Partial):
                    _raise(future, by_key[future.key])
                yield result
                # The scheduler may forget it now: no worker's death costs it again.
                future.release()
        finally:
            if pending := [f for f in futures if f.status == "pending"]:
                self._client.cancel(pending)  # type: ignore[no-untyped-call]

    def _is_found_again(self) -> bool:
        """Wait while the client looks for its scheduler; return whether it has it."""
        deadline = time.monotonic() + RECONNECT_S
        while self._client.status == "connecting" and time.monotonic() < deadline:
            time.sleep(0.05)
        return bool(self._client.status == "running")


def _raise(future: Any, chunk: Chunk) -> None:
    """Raise what a future without a result ended with; the error names the chunk."""
    try:
        future.result()
    except KilledWorker as error:
        raise ChunkError(
            f"{chunk}: {error.allowed_failures + 1} workers died while computing it; "
            "it may need more memory than a worker has: take smaller chunks or larger "
            "workers"
        ) from error
