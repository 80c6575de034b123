"""Twenty people at once, each under his own uid. Needs root."""

import asyncio
import contextlib
import os
import pwd
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from urllib.request import urlopen

import pytest
from dask_gateway import Gateway, GatewayClusterError, JupyterHubAuth

from facility.marked import marked_processes

PEOPLE = 20
PREFIX = "aftest"

pytestmark = [pytest.mark.engines, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def people(change_accounts) -> Iterator[list[str]]:
    names = [f"{PREFIX}{number:02}" for number in range(PEOPLE)]
    for name in names:
        with contextlib.suppress(KeyError):
            pwd.getpwnam(name)
            change_accounts("userdel", "--remove", name)
        change_accounts("useradd", "--create-home", name)
    yield names
    for name in names:
        uid = pwd.getpwnam(name).pw_uid
        change_accounts("userdel", "--remove", name)
        # Dask's, for the files of workers: uids are given again.
        shutil.rmtree(f"/tmp/dask-scratch-space-{uid}", ignore_errors=True)


@pytest.fixture(scope="module")
def facility(people, start_facility):  # it ends before they go
    return start_facility(
        users={"allowed": people},
        profiles=[{"name": "small", "worker": {"cores": 1, "memory": "512 MiB"}}],
        gateway={"ceilings": {"user": {"clusters": 1, "workers": 2}}},
    )


def can_open(port: int) -> bool:
    """Whether this process's user is served by a dashboard."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/health") as answer:
            return answer.status == 200
    except OSError:
        return False


async def test_twenty_people_with_two_workers_each(
    facility, people, eventually
) -> None:
    before = len(marked_processes(facility.runtime.id))
    tokens = {name: await facility.token(name) for name in people}

    async def work(name: str) -> dict[str, object]:
        async with Gateway(
            facility.runtime.gateway_url,
            proxy_address=facility.runtime.gateway_tls_url,
            auth=JupyterHubAuth(tokens[name]),
            asynchronous=True,
        ) as gateway:
            cluster = await gateway.new_cluster()
            async with cluster, cluster.get_client() as client:
                await cluster.scale(2)
                await client.wait_for_workers(2, timeout=400)
                uids = await client.run(os.getuid)
                refused = []
                for attempt in (gateway.new_cluster(), cluster.scale(3)):
                    try:
                        await attempt
                    except (ValueError, GatewayClusterError) as error:
                        refused.append(str(error))
                info = await client.scheduler.identity()
                dashboards[name] = info["services"]["dashboard"]
                await everybody.wait()  # all of them are up at once
                own = await client.submit(can_open, dashboards[name])
                other = await client.submit(
                    can_open, next(p for n, p in dashboards.items() if n != name)
                )
                await everybody.wait()
                return {
                    "uids": set(uids.values()),
                    "refused": refused,
                    "dashboards": (own, other),
                }

    everybody = asyncio.Barrier(PEOPLE)
    dashboards: dict[str, int] = {}
    start = time.monotonic()
    done = dict(zip(people, await asyncio.gather(*map(work, people)), strict=True))
    print(
        f"{PEOPLE} clusters of 2 workers up together in {time.monotonic() - start:.1f} s"
    )
    for name, found in done.items():
        assert found["uids"] == {pwd.getpwnam(name).pw_uid}
        assert found["dashboards"] == (True, False)
        cluster, workers = found["refused"]
        assert f"user {name} may use 1 clusters, has 1" in cluster
        assert f"user {name} may use 2 workers, has 2" in workers
    eventually(lambda: not facility.clusters(), 100, "clusters are gone")
    eventually(
        lambda: (
            len(marked_processes(facility.runtime.id)) <= before + 1
        ),  # the template
        100,
        "no process is left over",
    )
    leases = facility.runtime.state_dir / "broker.sqlite"
    with closing(sqlite3.connect(leases)) as connection:
        count = "select count(*) from leases"
        eventually(
            lambda: connection.execute(count).fetchone() == (0,), 60, "leases end"
        )
