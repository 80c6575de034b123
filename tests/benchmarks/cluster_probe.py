"""Run by the benchmark as a person's program: a cluster with two workers, timed.

Prints seconds from ``new_cluster`` until two workers are ready. Which gateway, and who
we are, is in the environment, as in a notebook server.
"""

import time

from dask_gateway import Gateway

WORKERS = 2

gateway = Gateway()
start = time.monotonic()
cluster = gateway.new_cluster()
try:
    cluster.scale(WORKERS)
    with cluster.get_client() as client:
        client.wait_for_workers(WORKERS, timeout=120)
        print(time.monotonic() - start)
finally:
    cluster.shutdown()
    gateway.close()
