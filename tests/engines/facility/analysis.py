"""What a person's notebook does: a cluster, two workers, the dimuon mass, saved.

Usage: analysis.py FILE OUTPUT. Prints ``cluster`` with the cluster's name when the
workers are there, then ``done``. If anything on the way is lost, starts again.
"""

import sys
import time
import traceback

import hist
from dask_gateway import Gateway

from facility.columnar import Dataset, leading, massless_pair_mass

GIVE_UP_S = 240


def mass(events):
    first, second = leading(events.Muon, 2, where=events.nMuon == 2)
    histogram = hist.Hist(hist.axis.Regular(120, 60, 120, name="mass"))
    return histogram.fill(
        massless_pair_mass(
            first.pt, first.eta, first.phi, second.pt, second.eta, second.phi
        )
    )


def once(path: str, output: str) -> None:
    with Gateway() as gateway, gateway.new_cluster() as cluster:
        cluster.scale(2)
        with cluster.get_client() as client:
            client.wait_for_workers(2, timeout=100)
            print("cluster", cluster.name, flush=True)
            dataset = Dataset(path, chunk_events=100_000)
            dataset.run(mass, on=client, progress=False).save(output)


deadline = time.monotonic() + GIVE_UP_S
while True:
    try:
        once(sys.argv[1], sys.argv[2])
    except Exception:
        traceback.print_exc()
        if time.monotonic() > deadline:
            raise
        time.sleep(1)
    else:
        break
print("done", flush=True)
