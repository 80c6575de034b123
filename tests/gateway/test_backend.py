"""The stock dask-gateway client against the real server with our backend."""

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import httpx
import psutil
import pytest
from dask_gateway import Gateway, GatewayCluster, GatewayClusterError

from facility.client.gateway_auth import HubAuth, declaration
from facility.environment import describe
from facility.process import identify
from facility.spec import Facility

CEILING = 3


@pytest.fixture(scope="module")
def server(start_server):
    return start_server(
        Facility.model_validate(
            {
                "gateway": {
                    "ceilings": {
                        "user": {"clusters": CEILING, "workers": 4},
                        "cluster": {"workers": 10},
                    },
                    "orphan_timeout": 1,
                }
            }
        )
    )


@pytest.fixture
def gateway(server) -> Iterator[Gateway]:
    runtime = server.runtime
    with Gateway(
        runtime.gateway_url,
        proxy_address=runtime.gateway_tls_url,
        auth=HubAuth(runtime.owner),
    ) as gateway:
        yield gateway
        for report in gateway.list_clusters():
            gateway.stop_cluster(report.name)
        left = ["pending", "running", "stopping"]  # until then they count
        wait_until(lambda: not gateway.list_clusters(status=left), 30)


def wait_until(condition: Callable[[], object], timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def request(server, method: str, path: str, user: str | None, **more) -> httpx.Response:
    headers = {} if user is None else {"Authorization": f"jupyterhub {user}"}
    url = f"{server.runtime.gateway_url}/api/v1/{path}"
    return httpx.request(method, url, headers=headers, timeout=60, **more)


def test_workers_compute_in_the_notebooks_environment(gateway: Gateway) -> None:
    with gateway.new_cluster() as cluster, cluster.get_client() as client:
        cluster.scale(2)
        client.wait_for_workers(2, timeout=30)
        digests = client.run(lambda: describe().digest)
        assert set(digests.values()) == {describe().digest}


def test_freed_memory_stays_in_the_worker(gateway: Gateway) -> None:
    """dask's nanny trims the heap at 64 KiB: a million page faults an analysis."""

    def page_faults() -> int:
        import resource

        import numpy as np

        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(50):
            np.ones(4_000_000)
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    with gateway.new_cluster() as cluster, cluster.get_client() as client:
        cluster.scale(1)
        # 50 x 32 MB are 390,625 pages of 4 KiB; once is 7,813 of them.
        assert client.submit(page_faults).result(timeout=60) < 30_000


def test_another_environment_is_refused_with_the_difference(
    gateway: Gateway, server
) -> None:
    declared = declaration()
    environment = json.loads(declared["environment"])
    there = environment["distributions"]["numpy"]["version"]
    environment["distributions"]["numpy"]["version"] = "0.1"
    declared["environment"] = json.dumps(environment)
    with pytest.raises(ValueError, match=r"numpy 0\.1 .*" + there.replace(".", r"\.")):
        gateway.new_cluster(notebook=declared)


def test_a_worker_of_another_environment_refuses_itself(gateway: Gateway, server):
    with gateway.new_cluster() as cluster, cluster.get_client() as client:
        folder = server.runtime.clusters_dir / cluster.name
        expected = json.loads((folder / "environment.json").read_text())
        expected["distributions"]["numpy"]["version"] = "0.1"
        (folder / "environment.json").write_text(json.dumps(expected))
        cluster.scale(1)
        with pytest.warns(match=r"refused: workers would differ .* numpy 0\.1"):
            client.submit(lambda: None).result(timeout=30)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"worker_cores": 99}, "worker_cores: a worker may have 4 cores, got 99"),
        ({"worker_memory": "99 GiB"}, "a worker may have 8 GiB, got 99 GiB"),
        ({"worker_memory": "much"}, "expected a size such as '2 GiB', got 'much'"),
        ({"worker_memory": "0"}, "worker_memory: a worker needs some, got '0'"),
        ({"detached": "9 d"}, "may outlive its notebook for 86400 s, got 777600 s"),
        ({"profile": "huge"}, "huge"),
        ({"notebook": {"process": 1}}, "option 'notebook' is malformed"),
        ({"environment": "/nowhere"}, "environment /nowhere: .*"),
    ],
)
def test_wrong_options_are_one_clear_line(gateway, options, message) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        gateway.new_cluster(**options)
    assert "\n" not in str(caught.value)


def test_more_workers_than_the_user_may_have(gateway: Gateway) -> None:
    with (
        gateway.new_cluster() as cluster,
        pytest.raises(
            GatewayClusterError,
            match=r"not scaled to 5 workers: user \w+ may use 4 workers, has 0 and "
            r"asked for 5 more; 4 would fit now",
        ),
    ):
        cluster.scale(5)


def test_racing_for_the_last_cluster(server, gateway: Gateway) -> None:
    """50 at once at a ceiling of 3: exactly 3."""

    def create(_: int) -> int:
        return request(
            server, "POST", "clusters/", server.runtime.owner, json={}
        ).status_code

    with ThreadPoolExecutor(50) as pool:
        codes = list(pool.map(create, range(50)))
    assert sorted(codes) == [201] * CEILING + [422] * (50 - CEILING)
    reports = gateway.list_clusters(status=["pending", "running"])
    assert len(reports) == CEILING


def test_a_cluster_ends_with_its_notebook(gateway: Gateway, server) -> None:
    notebook = subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE
    )
    me = identify(notebook.pid)
    declared = {**declaration(), "process": me.to_json()}
    name = gateway.submit(notebook=declared)
    detached = gateway.submit(notebook=declared, detached="1 h")
    gateway.connect(name).close(shutdown=False)
    notebook.kill()
    notebook.wait()
    notebook.stdin.close()
    wait_until(lambda: [c.name for c in gateway.list_clusters()] == [detached], 20)


def test_clusters_of_others_are_closed(gateway: Gateway, server) -> None:
    name = gateway.submit()
    for method, path in [
        ("GET", f"clusters/{name}"),
        ("DELETE", f"clusters/{name}"),
        ("POST", f"clusters/{name}/scale"),
        ("POST", f"clusters/{name}/adapt"),
    ]:
        answers = {
            user: request(server, method, path, user, json={"count": 1}).status_code
            for user in ("mallory", "stranger", "unknown", None)
        }
        assert answers == {
            "mallory": 403, "stranger": 401, "unknown": 401, None: 401
        }  # fmt: skip
    heartbeat = request(server, "POST", f"clusters/{name}/heartbeat", None, json={})
    assert heartbeat.status_code == 401
    assert name not in request(server, "GET", "clusters/", "mallory").text


def test_nobody_else_is_served_without_root(server) -> None:
    answer = request(server, "POST", "clusters/", "mallory", json={})
    assert answer.status_code == 422
    assert "serves nobody else" in answer.json()["error"]


@pytest.mark.parametrize(
    "path", ["clusters/..%2f..%2fetc", "clusters/%00", "clusters/-"]
)
def test_a_name_is_never_a_path(server, path: str) -> None:
    answer = request(server, "GET", path, server.runtime.owner)
    assert answer.status_code in {400, 404}


def test_no_secret_is_in_a_command_line_or_a_log(gateway: Gateway, server) -> None:
    with gateway.new_cluster() as cluster, cluster.get_client() as client:
        cluster.scale(1)
        client.wait_for_workers(1, timeout=30)
        folder = server.runtime.clusters_dir / cluster.name
        token = client.run_on_scheduler(lambda: os.environ["DASK_GATEWAY_API_TOKEN"])
        key = (folder / "tls" / "dask.pem").read_text().splitlines()[1]
        held = [path.read_text() for path in server.runtime.secrets_dir.iterdir()]
        seen = "\n".join(server.marked().values()) + server.log.read_text()
        seen += "".join(path.read_text() for path in (folder / "logs").iterdir())
        assert len(server.marked()) >= 5
        for secret in [token, key, *held]:
            assert secret not in seen
        modes = {p: p.stat().st_mode & 0o077 for p in [folder, *folder.rglob("*")]}
        assert not any(modes.values()), modes


def finished(cluster: GatewayCluster) -> bool:
    with cluster.get_client() as client:
        client.wait_for_workers(2, timeout=40)
        return client.submit(sum, (20, 22)).result(timeout=40) == 42


def template_of(server) -> int:
    """Forked children show the template's command line; it is their parent."""
    forked = [pid for pid, line in server.marked().items() if "template" in line]
    parents = set()
    for pid in forked:
        with suppress(OSError):  # of a cluster before, at its end
            stat = Path(f"/proc/{pid}/stat").read_text()
            parents.add(int(stat.rpartition(")")[2].split()[1]))
    return next(pid for pid in forked if pid in parents)


def test_what_others_can_see_does_not_name_a_cluster(gateway, server) -> None:
    """Who knows the name may look at the dashboard, and every process is listed."""
    with gateway.new_cluster() as cluster:
        cluster.scale(2)
        assert finished(cluster)
        marked = server.marked()
        public = "\n".join(marked.values())
        listening = []
        for pid in marked:
            with suppress(OSError, psutil.NoSuchProcess):  # of a cluster before
                public += Path(f"/proc/{pid}/cgroup").read_text()
                connections = psutil.Process(pid).net_connections("tcp")
                listening += [
                    c.laddr.ip for c in connections if c.status == psutil.CONN_LISTEN
                ]
        assert cluster.name not in public
        assert len(listening) >= 10
        assert set(listening) == {"127.0.0.1"}


def memory_of(pid: int) -> Iterator[bytes]:
    """Yield what the process could read of itself."""
    maps = Path(f"/proc/{pid}/maps").read_text().splitlines()
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in maps:
            fields = line.split()
            if "rw" not in fields[1]:
                continue
            begin, end = (int(number, 16) for number in fields[0].split("-"))
            memory.seek(begin)
            yield memory.read(end - begin)


def test_what_is_copied_into_everybodys_processes_knows_nobody(gateway, server) -> None:
    """A fork has the template's memory, and the user of the fork may read it."""
    with gateway.new_cluster() as cluster:
        cluster.scale(2)
        assert finished(cluster)
        name = cluster.name.encode()
        template = template_of(server)
        try:
            known = any(name in part for part in memory_of(template))
        except PermissionError:
            pytest.skip("another process's memory is closed to us here")
        assert not known
        environment = Path(f"/proc/{template}/environ").read_bytes()
        assert b"SECRET_OF_THE_SHELL" not in environment


@pytest.mark.parametrize("victim", ["worker", "template", "proxy", "server"])
def test_a_cluster_survives_the_death_of(victim: str, gateway, server) -> None:
    with gateway.new_cluster() as cluster:
        cluster.scale(2)
        assert finished(cluster)
        if victim == "worker":
            with cluster.get_client() as client:
                pids = client.run(os.getpid)
            os.kill(next(iter(pids.values())), 9)
        elif victim == "template":
            template = template_of(server)
            os.kill(template, 9)
            cluster.scale(1)
            cluster.scale(2)
        else:
            server.kill(victim)
            if victim == "server":
                server.start_server()
            else:
                server.run("proxy", "-m", "gateway", "proxy")
        wait_until(lambda: not_raising(lambda: finished(cluster)), 60)


def not_raising(check: Callable[[], bool]) -> bool:
    try:
        return check()
    except (OSError, TimeoutError):
        return False


def test_a_dead_scheduler_ends_its_cluster_at_once(gateway, server) -> None:
    cluster = gateway.new_cluster()
    name = cluster.name
    with cluster.get_client() as client:
        pid = client.run_on_scheduler(os.getpid)
    cluster.close(shutdown=False)
    os.kill(pid, 9)
    wait_until(lambda: not gateway.list_clusters(), 15)
    assert name not in {c.name for c in gateway.list_clusters()}


def test_nothing_is_left_when_the_clusters_are_gone(gateway, server) -> None:
    with gateway.new_cluster() as cluster, cluster.get_client() as client:
        cluster.scale(2)
        client.wait_for_workers(2, timeout=30)

    def is_clean() -> bool:
        with closing(sqlite3.connect(leases)) as connection:
            (count,) = connection.execute("select count(*) from leases").fetchone()
        forked = [line for line in server.marked().values() if "template" in line]
        return count == 0 and len(forked) == 1  # the template itself

    leases = server.runtime.state_dir / "broker.sqlite"
    wait_until(is_clean, 20)


def test_the_dashboard_is_served_to_its_user(gateway, server) -> None:
    with gateway.new_cluster() as cluster, cluster.get_client() as client:
        port = client.scheduler_info()["services"]["dashboard"]
        assert (
            httpx.get(f"http://127.0.0.1:{port}/status", timeout=60).status_code == 200
        )
        url = f"{server.runtime.gateway_url}/clusters/{cluster.name}/status"
        assert httpx.get(url, timeout=60).status_code == 200
