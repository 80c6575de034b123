"""How long clusters live, how they grow, and in which environment they work."""

import json
import sqlite3
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import uproot
from dask_gateway import Gateway

from facility.client.gateway_auth import HubAuth, declaration
from facility.columnar import Dataset, Events
from facility.environment import describe
from facility.spec import Facility


@pytest.fixture(scope="module")
def server(start_server):
    return start_server(
        Facility.model_validate(
            {"gateway": {"idle_timeout": 12, "adaptive_period": 0.2}}
        )
    )


@pytest.fixture(scope="module", autouse=True)
def idle(server) -> str:
    """A cluster that nobody uses, while the other tests run."""
    runtime = server.runtime
    with Gateway(
        runtime.gateway_url,
        proxy_address=runtime.gateway_tls_url,
        auth=HubAuth(runtime.owner),
    ) as gateway:
        return gateway.submit()


@pytest.fixture
def gateway(server) -> Iterator[Gateway]:
    runtime = server.runtime
    with Gateway(
        runtime.gateway_url,
        proxy_address=runtime.gateway_tls_url,
        auth=HubAuth(runtime.owner),
    ) as gateway:
        yield gateway


def test_an_adaptive_cluster_grows_with_its_work(gateway: Gateway) -> None:
    with gateway.new_cluster() as cluster, cluster.get_client() as client:
        cluster.adapt(minimum=0, maximum=2)
        assert client.nthreads() == {}
        futures = client.map(lambda i: time.sleep(0.2) or i, range(20), pure=False)
        assert sum(client.gather(futures)) == 190
        workers = len(client.nthreads())
        assert 1 <= workers <= 2
        del futures
        deadline = time.monotonic() + 30
        while client.nthreads():
            assert time.monotonic() < deadline
            time.sleep(0.2)


@pytest.fixture(scope="module")
def other_environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment of a user's own that sees the same packages."""
    prefix = tmp_path_factory.mktemp("environment") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", prefix], check=True)
    (site,) = prefix.glob("lib/python*/site-packages")
    (site / "same.pth").write_text(
        f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n"
    )
    return prefix


def test_workers_run_in_the_environment_that_the_notebook_runs_in(
    gateway: Gateway, other_environment: Path
) -> None:
    """Not in ours, and not warm: executed with that environment's Python."""
    script = (
        "from facility.client.gateway_auth import declaration; import json; "
        "print(json.dumps(declaration()))"
    )
    python = other_environment / "bin" / "python"
    said = subprocess.run(
        [python, "-W", "ignore", "-c", script], capture_output=True, check=True
    )
    notebook = json.loads(said.stdout) | {"process": declaration()["process"]}
    assert notebook["prefix"] == str(other_environment)
    with (
        gateway.new_cluster(notebook=notebook) as cluster,
        cluster.get_client() as client,
    ):
        cluster.scale(1)
        client.wait_for_workers(1, timeout=60)
        (prefix,) = client.run(lambda: sys.prefix).values()
        assert prefix == str(other_environment)


def test_an_environment_without_dask_is_refused(
    gateway: Gateway, tmp_path: Path
) -> None:
    prefix = tmp_path / "empty"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", prefix], check=True)
    with pytest.raises(ValueError, match="workers would differ from the notebook"):
        gateway.new_cluster(environment=str(prefix))
    assert describe(prefix).digest != describe().digest


def test_a_run_goes_on_when_the_connection_was_lost(
    gateway: Gateway, server, tmp_path: Path
) -> None:
    """The proxy between client and scheduler dies in the middle of an analysis."""
    path = tmp_path / "events.root"
    with uproot.recreate(path) as file:
        file.mktree("Events", {"x": "float64"})
        for _ in range(20):
            file["Events"].extend({"x": np.ones(10)})
    seen = tmp_path / "seen"

    def count(events: Events) -> int:
        if len(events):
            with seen.open("a") as file:
                file.write(".")
            time.sleep(0.2)
        return len(events)

    def crash() -> None:
        """Not by the clock: on a slow machine that is before anything is computed."""
        while not seen.exists() or len(seen.read_text()) < 8:
            time.sleep(0.02)
        server.kill("proxy")
        server.run("proxy", "-m", "gateway", "proxy")

    with gateway.new_cluster() as cluster, cluster.get_client() as client:
        cluster.scale(1)
        client.wait_for_workers(1, timeout=30)
        crashing = threading.Thread(target=crash, daemon=True)
        crashing.start()
        dataset = Dataset(path, chunk_events=10)
        assert len(dataset.chunks()) == 20
        assert dataset.run(count, on=client, progress=False).value == 200
        crashing.join()
        computed = len(seen.read_text())
        assert 20 < computed < 40, "not lost, or begun again from the start"


def test_an_idle_cluster_ends(gateway: Gateway, idle: str) -> None:
    deadline = time.monotonic() + 30
    while idle in {report.name for report in gateway.list_clusters()}:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_who_waits_below_a_ceiling_waits_quietly(start_server, tmp_path) -> None:
    """No record and no line a second; and the worker comes when there is room."""
    keys = {"gateway": {"ceilings": {"user": {"workers": 1}}, "adaptive_period": 0.2}}
    server = start_server(Facility.model_validate(keys))
    runtime = server.runtime
    with (
        Gateway(
            runtime.gateway_url,
            proxy_address=runtime.gateway_tls_url,
            auth=HubAuth(runtime.owner),
        ) as gateway,
        gateway.new_cluster() as first,
        gateway.new_cluster() as second,
        second.get_client() as client,
    ):
        first.scale(1)
        with first.get_client() as other:
            other.wait_for_workers(1, timeout=30)
        second.adapt(minimum=1, maximum=1)
        words, deadline = "waits for a worker: user", time.monotonic() + 60
        while words not in server.log.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        time.sleep(2)  # ten times it asks again
        assert client.nthreads() == {}
        assert server.log.read_text().count(words) == 1
        with closing(sqlite3.connect(runtime.state_dir / "gateway.sqlite")) as records:
            query = "select count(*) from workers"
            assert records.execute(query).fetchone() == (1,)
        first.scale(0)
        client.wait_for_workers(1, timeout=30)
