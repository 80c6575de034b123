"""The gateway is killed at every point of a cluster's start; nothing runs twice."""

import os
import signal
import time
from contextlib import suppress

import pytest
from dask_gateway import Gateway

from facility.client.gateway_auth import HubAuth
from facility.spec import Facility


@pytest.fixture(scope="module")
def server(start_server):
    return start_server(Facility())


@pytest.mark.parametrize("after_s", [0.02, 0.1, 0.2, 0.4, 0.7])
def test_killed_while_a_cluster_starts(server, after_s: float) -> None:
    runtime = server.runtime
    with Gateway(
        runtime.gateway_url,
        proxy_address=runtime.gateway_tls_url,
        auth=HubAuth(runtime.owner),
    ) as gateway:
        name = gateway.submit()
        time.sleep(after_s)
        server.kill("server")
        server.start_server()
        with gateway.connect(name, shutdown_on_close=True) as cluster:
            cluster.scale(1)
            with cluster.get_client() as client:
                client.wait_for_workers(1, timeout=40)
                assert client.submit(sum, (20, 22)).result(timeout=20) == 42
            folder = runtime.clusters_dir / name / "logs"
            schedulers = (folder / "scheduler.log").read_text().count("Scheduler at:")
            assert schedulers == 1
        deadline = time.monotonic() + 60
        while len(forked(server)) > 1:
            assert time.monotonic() < deadline, server.marked()
            time.sleep(0.1)


def test_clusters_of_a_stopped_machine_are_cleared(server) -> None:
    """After a reboot the database knows clusters whose processes are gone."""
    runtime = server.runtime
    with Gateway(
        runtime.gateway_url,
        proxy_address=runtime.gateway_tls_url,
        auth=HubAuth(runtime.owner),
    ) as gateway:
        gateway.new_cluster(shutdown_on_close=False).scale(1)
        time.sleep(1)
        server.kill("server")
        for pid in forked(server):
            with suppress(ProcessLookupError):  # of a cluster before, at its end
                os.kill(pid, signal.SIGKILL)
        server.start_server()
        deadline = time.monotonic() + 60
        while gateway.list_clusters():
            assert time.monotonic() < deadline
            time.sleep(0.1)


def forked(server) -> list[int]:
    return [pid for pid, line in server.marked().items() if "template" in line]
