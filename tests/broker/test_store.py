import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from facility.broker import Amount, LeaseStore, Limits
from facility.spec import Ceiling

WORKER = Amount(workers=1, cores=1, memory=2**30)
CLUSTER = Amount(clusters=1)
FOUR = Limits(user=Ceiling(workers=4))


@pytest.fixture
def store(tmp_path: Path):
    store = LeaseStore(tmp_path / "broker.sqlite", clock=lambda: 7.0)
    yield store
    store.close()


def test_as_many_as_fit_are_granted_in_order(store: LeaseStore) -> None:
    granted, why = store.grant(list("abcdef"), "alice", "c", WORKER, FOUR)
    assert granted == tuple("abcd")
    assert (why.used, why.asked, why.ceiling, why.fits) == (0, 6, 4, 4)
    assert store.grant(["z"], "bob", "d", WORKER, FOUR) == (("z",), None)
    assert store.used(user="alice") == WORKER.times(4)
    assert store.used(cluster="d") == WORKER
    assert store.used() == WORKER.times(5)


def test_granted_again_it_is_granted_once(store: LeaseStore) -> None:
    for _ in range(3):
        assert store.grant(["a"], "alice", "c", WORKER, FOUR) == (("a",), None)
    assert store.used() == WORKER


def test_a_released_lease_gives_room(store: LeaseStore) -> None:
    store.grant(list("abcd"), "alice", "c", WORKER, FOUR)
    assert store.would_refuse(1, "alice", "c", WORKER, FOUR).fits == 0
    store.release("a", "unknown")
    store.release("a")
    assert store.would_refuse(1, "alice", "c", WORKER, FOUR) is None
    assert store.keep_only(["b"]) == 2
    assert [lease.id for lease in store.leases()] == ["b"]


def test_leases_outlive_the_store(tmp_path: Path) -> None:
    path = tmp_path / "broker.sqlite"
    for _ in range(2):
        with closing(LeaseStore(path)) as store:
            store.grant(["a"], "alice", "c", WORKER, FOUR)
            assert [lease.amount for lease in store.leases()] == [WORKER]
    with closing(sqlite3.connect(path)) as connection:
        version = connection.execute("select version_num from alembic_version")
        assert version.fetchone() == ("0001",)


def test_threads_that_race_get_exactly_the_ceiling(store: LeaseStore) -> None:
    limits = Limits(user=Ceiling(clusters=7))

    def grant(number: int) -> int:
        granted, _ = store.grant([f"{number}"], "alice", f"{number}", CLUSTER, limits)
        return len(granted)

    with ThreadPoolExecutor(50) as pool:
        assert sum(pool.map(grant, range(50))) == 7
    assert store.used().clusters == 7


PROCESS = """
import sys
from pathlib import Path
from facility.broker import Amount, LeaseStore, Limits
from facility.spec import Ceiling

store = LeaseStore(Path(sys.argv[1]))
print("ready", flush=True)
input()
limits = Limits(facility=Ceiling(clusters=5))
for i in range(10):
    name = f"{sys.argv[2]}-{i}"
    store.grant([name], "alice", name, Amount(clusters=1), limits)
"""


def test_processes_that_race_get_exactly_the_ceiling(tmp_path: Path) -> None:
    path = tmp_path / "broker.sqlite"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(path), str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(8)
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    with closing(LeaseStore(path)) as store:
        assert store.used().clusters == 5
