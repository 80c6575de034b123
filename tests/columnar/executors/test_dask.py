"""On a Dask cluster: functions of a notebook, and workers that die."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import hist
import numpy as np
import pytest
from distributed import Client, LocalCluster

from facility.columnar import ChunkError, Dataset, MissingBranchError
from facility.columnar.progress import Progress
from facility.columnar.reduction import OrderedSum
from facility.errors import UsageError


@pytest.fixture(scope="module")
def cluster():
    with LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        dashboard_address=":0",
        memory_limit=0,
    ) as cluster:
        yield cluster


@pytest.fixture
def client(cluster, ensure_workers):
    with Client(cluster) as client:
        ensure_workers(cluster, client, 2)
        yield client


def test_the_histogram_equals_a_plain_loop(client, ttree, dimuon_analysis, true_counts):
    dataset = Dataset(ttree, chunk_events=100)
    result = dataset.run(dimuon_analysis, on=client, progress=False)
    assert result.hist.values().tolist() == true_counts
    assert [c.index for c in result.provenance.chunks] == list(range(11))
    assert f":{os.getpid()}" not in " ".join(result.provenance.workers)


def test_a_cluster_serves_as_well_and_no_client_is_left(
    cluster, ttree, dimuon_analysis, true_counts
):
    before = set(cluster.scheduler.clients)
    result = Dataset(ttree).run(dimuon_analysis, on=cluster, progress=False)
    assert result.hist.values().tolist() == true_counts
    assert set(cluster.scheduler.clients) == before


def test_a_closed_client_is_refused(cluster, ttree):
    with Client(cluster) as client:
        pass
    with pytest.raises(UsageError, match="is closed: make a new one"):
        Dataset(ttree).run(len, on=client, progress=False)


def test_a_function_of_main_runs_on_workers(ttree, cluster):
    script = textwrap.dedent(
        f"""
        import sys
        import numpy as np
        from distributed import Client
        from facility.columnar import Dataset
        SCALE = 3
        def scaled(x):
            return SCALE * x
        def analysis(events):
            return scaled(int(np.sum(events.nMuon)))
        if __name__ == "__main__":
            with Client({cluster.scheduler_address!r}) as client:
                dataset = Dataset({str(ttree)!r}, chunk_events=100)
                print(dataset.run(analysis, on=client, progress=False).value)
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    truth = Dataset(ttree).run(
        lambda e: 3 * int(e.nMuon.to_numpy().sum()), progress=False
    )
    assert int(done.stdout) == truth.value


@pytest.mark.parametrize("moment", ["while computing", "with results in memory"])
def test_killed_workers_change_nothing(cluster, client, ttree, tmp_path, moment):
    """A worker dies once with chunks on it; each chunk is still counted once."""
    mark = tmp_path / "killed"

    def analysis(events, mark=str(mark), moment=moment):
        import os
        import signal
        import time
        from pathlib import Path

        import numpy as np

        # The first worker to get here kills itself: in a chunk, or shortly after one.
        if len(events):
            try:
                Path(mark).touch(exist_ok=False)
            except FileExistsError:
                time.sleep(0.02)
            else:
                if moment == "while computing":
                    os.kill(os.getpid(), signal.SIGKILL)
                import threading

                threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGKILL)).start()
        counts = np.bincount(np.asarray(events.nMuon), minlength=5)
        return {"counts": counts, "chunks": int(len(events) > 0)}

    dataset = Dataset(ttree, chunk_events=50)
    result = dataset.run(analysis, on=client, progress=False)
    assert mark.exists()
    undisturbed = dataset.run(analysis, on="serial", progress=False)
    assert result.value["chunks"] == len(dataset.chunks())
    assert result.value["counts"].tolist() == undisturbed.value["counts"].tolist()
    assert result.provenance.events == 1050


def test_a_worker_killed_from_outside(cluster, client, ttree):
    def slow(events):
        import time

        time.sleep(0.1 * (len(events) > 0))
        return len(events.nMuon)

    victim = next(iter(cluster.workers.values())).pid
    timer = threading.Timer(0.5, os.kill, (victim, signal.SIGKILL))
    timer.start()
    try:
        result = Dataset(ttree, chunk_events=30).run(slow, on=client, progress=False)
    finally:
        timer.cancel()
    assert result.value == 1050
    deadline = time.monotonic() + 30
    while Path(f"/proc/{victim}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def weighted(events):
    """Floating-point weights: sums depend on their order."""
    counts = np.asarray(events.nMuon)
    axis = hist.axis.Regular(50, 0, 5, name="n")
    return hist.Hist(axis, storage=hist.storage.Weight()).fill(
        counts, weight=1 / (3 + np.arange(len(counts)))
    )


def test_same_bits_as_serial_and_few_results_travel(client, ttree, monkeypatch):
    dataset = Dataset(ttree, chunk_events=10)
    here = dataset.run(weighted, on="serial", progress=False)
    received = []
    put = OrderedSum.put

    def counting(total, indices, value):
        received.append(len(indices))
        put(total, indices, value)

    monkeypatch.setattr(OrderedSum, "put", counting)
    there = dataset.run(weighted, on=client, progress=False)
    assert there.hist.view(flow=True).tobytes() == here.hist.view(flow=True).tobytes()
    assert sorted(received) == [9, *6 * [16]]
    assert [c.index for c in there.provenance.chunks] == list(range(105))


def test_the_bar_moves_with_every_chunk(client, ttree, monkeypatch):
    moves = []
    monkeypatch.setattr(Progress, "computed", lambda _bar, index: moves.append(index))
    Dataset(ttree, chunk_events=100).run(weighted, on=client, progress=False)
    assert set(moves) == set(range(11))


def test_large_tables_travel_once_and_are_not_mixed_up(client, ttree):
    dataset = Dataset(ttree, chunk_events=100)
    for value in (1, 2):
        table = np.full(100_000, value)
        result = dataset.run(
            lambda events, table=table: int(table[: len(events)].sum()),
            on=client,
            progress=False,
        )
        assert result.value == 1050 * value


def test_a_chunk_that_kills_every_worker_is_named(client, ttree):
    def deadly(events):
        import os
        import signal

        if len(events):
            os.kill(os.getpid(), signal.SIGKILL)
        return 0

    with pytest.raises(ChunkError, match=r"workers died.*smaller chunks") as caught:
        Dataset(ttree).run(deadly, on=client, progress=False)
    assert "\n" not in str(caught.value)


def test_errors_keep_their_kind_across_the_wire(client, ttree):
    def late(events):
        return len(events.Muon_Pt if len(events) else events.nMuon)

    with pytest.raises(MissingBranchError, match="did you mean Muon_pt"):
        Dataset(ttree).run(late, on=client, progress=False)

    def fails(events):
        return 1 / (len(events) == 0)

    with pytest.raises(ChunkError, match=r"entries \d+\.\.\d+ of .*ZeroDivisionError"):
        Dataset(ttree, chunk_events=100).run(fails, on=client, progress=False)
