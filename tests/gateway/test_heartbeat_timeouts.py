"""When a cluster counts as silent. The clock is ours."""

import asyncio
from types import SimpleNamespace

import pytest
from dask_gateway_server.backends import db_base
from dask_gateway_server.backends.db_base import JobStatus

from gateway import backend
from gateway.backend import FacilityBackend


class Database:
    def __init__(self, cluster: SimpleNamespace) -> None:
        self.cluster = cluster

    def active_clusters(self) -> list[SimpleNamespace]:
        return [self.cluster]

    def update_clusters(self, updates) -> None:
        for cluster, changes in updates:
            vars(cluster).update(changes)

    def update_workers(self, updates) -> None:
        assert not updates


@pytest.fixture
def cluster() -> SimpleNamespace:
    return SimpleNamespace(
        name="c",
        status=JobStatus.RUNNING,
        target=JobStatus.RUNNING,
        last_heartbeat=0,
        workers={},
    )


@pytest.fixture
def check(cluster, monkeypatch):
    """Return a function that checks at a time in seconds."""
    facility = FacilityBackend(check_timeouts_period=2, cluster_heartbeat_timeout=30)
    facility.db = Database(cluster)
    facility.queue = asyncio.Queue()
    facility.queue.put = facility.queue.put_nowait
    facility._checked_at = 0

    def check(now_s: int) -> bool:
        for module in (backend, db_base):
            monkeypatch.setattr(module, "timestamp", lambda: 1000 * now_s)
        asyncio.run(facility._check_timeouts())
        return bool(cluster.target == JobStatus.RUNNING)

    return check


def test_a_silent_cluster_ends(check) -> None:
    assert [check(s) for s in range(2, 34, 2)] == [True] * 15 + [False]


def test_after_a_suspension_a_cluster_has_its_time_again(check) -> None:
    """A closed laptop, or a clock that was set, is not the cluster's silence."""
    assert check(2)
    assert check(3600)
    assert [check(3600 + s) for s in range(2, 34, 2)] == [True] * 15 + [False]
