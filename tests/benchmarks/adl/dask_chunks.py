"""What Dask and we add to 400 chunks of a tenth of a second on two workers."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import hist
from adl.environment import sample_of
from measurement import Bar, Measurement

CHUNKS = 400
CHUNK_SECONDS = 0.1
WORKERS = 2
EVENTS = 100
"""Of one chunk."""


def rows(rounds: int) -> list[Measurement]:
    """Measure the share of the wall clock that the chunks themselves take."""
    from distributed import Client, LocalCluster

    path = sample_of(CHUNKS * EVENTS, basket_events=EVENTS)
    row = Measurement(
        f"{CHUNKS} chunks of {CHUNK_SECONDS} s on {WORKERS} Dask workers",
        "efficiency",
        Bar(0.9, at_least=True, of_ratio=False),
    )
    with (
        LocalCluster(
            n_workers=WORKERS, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        Client(cluster) as client,
    ):
        seconds(path, client)
        for _ in range(rounds):
            ideal = CHUNKS * CHUNK_SECONDS / WORKERS
            row.add(is_ours=True, value=ideal / seconds(path, client))
    return [row]


def seconds(path: Path, client: Any) -> float:
    """Return the wall seconds of a run."""
    from facility.columnar import Dataset

    dataset = Dataset(path, chunk_events=EVENTS)
    begin = time.perf_counter()
    result = dataset.run(analysis, on=client, progress=False)
    wall = time.perf_counter() - begin
    if len(result.provenance.chunks) != CHUNKS:
        raise ValueError(f"{len(result.provenance.chunks)} chunks, expected {CHUNKS}")
    return wall


def analysis(events: Any) -> Any:
    """Fill a histogram and be busy elsewhere: a core is not what is measured."""
    begin = time.perf_counter()
    met = hist.Hist.new.Reg(100, 0, 2000).Int64().fill(events.MET_pt)
    time.sleep(max(0.0, CHUNK_SECONDS - (time.perf_counter() - begin)))
    return met
