"""Three of ten workers die at random moments of every run: not a bit changes."""

import os
import random
import signal
import threading
from contextlib import contextmanager, suppress

import hist
import numpy as np
import pytest
from distributed import Client, LocalCluster

from facility.columnar import Dataset

pytestmark = pytest.mark.engines


def weighted(events):
    """Floating-point weights: sums depend on their order."""
    counts = np.asarray(events.nMuon)
    axis = hist.axis.Regular(50, 0, 5, name="n")
    return hist.Hist(axis, storage=hist.storage.Weight()).fill(
        counts, weight=1 / (3 + np.arange(len(counts)))
    )


def slow(events):
    import time

    time.sleep(0.05 * (len(events) > 0))
    return weighted(events)


@contextmanager
def killing(pids, count, seed, duration_s):
    """Kill so many of the workers at random moments; yield those that were."""
    chance = random.Random(seed)
    killed = []

    def kill(pid):
        with suppress(ProcessLookupError):  # a loaded machine's own nanny was quicker
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)

    timers = [
        threading.Timer(chance.uniform(0, duration_s), kill, [pid])
        for pid in chance.sample(sorted(pids), count)
    ]
    for timer in timers:
        timer.start()
    try:
        yield killed
    finally:
        for timer in timers:
            timer.cancel()
            timer.join()


@pytest.fixture(scope="module")
def many_workers():
    cluster = LocalCluster(
        n_workers=10,
        threads_per_worker=1,
        processes=True,
        dashboard_address=":0",
        memory_limit=0,
    )
    try:
        with Client(cluster) as client:
            yield cluster, client
    finally:
        # Dask's own watch stumbles over a worker that died before it was known; all
        # processes have been ended by then.
        with suppress(KeyError):
            cluster.close()


SAMPLE = range(3)
REST = [pytest.param(seed, marks=pytest.mark.soak) for seed in range(3, 100)]


@pytest.mark.parametrize("seed", [*SAMPLE, *REST])
def test_three_of_ten_workers_killed_at_random_change_no_bit(
    many_workers, ensure_workers, ttree, seed
):
    cluster, client = many_workers
    ensure_workers(cluster, client, 10)
    dataset = Dataset(ttree, chunk_events=10)
    here = dataset.run(weighted, on="serial", progress=False)
    # Those that serve: the cluster also lists nannies whose worker never came up.
    pids = client.run(os.getpid).values()
    with killing(pids, 3, seed, duration_s=0.8) as killed:
        there = dataset.run(slow, on=client, progress=False)
    assert killed
    assert there.hist.view(flow=True).tobytes() == here.hist.view(flow=True).tobytes()
    assert [c.index for c in there.provenance.chunks] == list(range(105))
    assert there.provenance.events == 1050
