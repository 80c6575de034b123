"""Chunks as futures of a Dask cluster, one coarse task per chunk.

Dask computes a chunk again when its worker dies. That is harmless: a chunk's key has
one result, and it is counted when the future is seen, once.
"""

from __future__ import annotations

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


class Dask:
    """The workers of a client's cluster."""

    name = "dask"

    def __init__(self, client: Client) -> None:
        self._client = client

    def partials(
        self, analysis: Analysis, chunks: Sequence[Chunk]
    ) -> Iterator[Partial]:
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
    except CancelledError as error:
        raise ChunkError(
            f"{chunk}: the cluster was closed before it was computed"
        ) from error
