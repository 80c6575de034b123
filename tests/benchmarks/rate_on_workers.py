"""Run by the benchmark as a person's program: the dimuon analysis on two workers.

Usage: rate_on_workers.py FILE. Prints what ``rate_by_hand.py`` prints.
"""

import sys
import time
from typing import Any

import hist
from dask_gateway import Gateway

from facility.columnar import Dataset, Events, leading, massless_pair_mass

WORKERS = 2


def mass(events: Events) -> hist.Hist[Any]:
    """Return the mass of opposite-sign pairs."""
    first, second = leading(events.Muon, 2, where=events.nMuon == 2)
    opposite = first.charge + second.charge == 0
    first, second = first[opposite], second[opposite]
    histogram: hist.Hist[Any] = hist.Hist(hist.axis.Regular(120, 60, 120, name="mass"))
    return histogram.fill(
        massless_pair_mass(
            first.pt, first.eta, first.phi, second.pt, second.eta, second.phi
        )
    )


with Gateway() as gateway, gateway.new_cluster() as cluster:
    cluster.scale(WORKERS)
    with cluster.get_client() as client:
        client.wait_for_workers(WORKERS, timeout=120)
        dataset = Dataset(sys.argv[1])
        dataset.run(mass, on=client, progress=False)
        start = time.perf_counter()
        result = dataset.run(mass, on=client, progress=False)
        print(len(dataset), time.perf_counter() - start, result.value.sum())
