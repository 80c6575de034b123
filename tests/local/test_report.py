import os
import sqlite3

from facility.local import report
from facility.local.report import count_clusters, count_servers, make_report


def test_nothing_runs(standins):
    assert make_report(standins.place) is None
    standins.up()
    standins.down()
    assert make_report(standins.place) is None


def test_processes_of_a_running_facility(standins, eventually):
    standins.up()
    found = make_report(standins.place)
    assert found is not None
    assert [row.name for row in found.processes] == ["hub", "gateway", "supervisor"]
    assert found.phase == "ready"
    for row in found.processes:
        assert row.state == "ready"
        assert row.pid is not None
        assert row.memory_bytes is not None
        assert row.memory_bytes > 2**20
        assert row.cpu_percent is not None
    # The stand-ins have neither users nor a database.
    assert found.servers is None
    assert found.clusters is None
    assert found.to_json()["running"] is True
    os.kill(standins.pid("hub"), 9)
    eventually(lambda: standins.entry("hub").restarts == 1)
    again = make_report(standins.place)
    assert again is not None
    assert again.processes[0].error == "killed by SIGKILL"


def test_clusters_are_counted_in_the_gateways_database(tmp_path, state_home, standins):
    storage = standins.place.storage("x")
    assert count_clusters(storage) is None
    storage.ensure()
    with sqlite3.connect(storage.state_dir / "gateway.sqlite") as database:
        database.execute("CREATE TABLE clusters (status INTEGER)")
        statuses = [(1,), (report.RUNNING,), (5,), (report.RUNNING,)]
        database.executemany("INSERT INTO clusters VALUES (?)", statuses)
    database.close()
    assert count_clusters(storage) == 2


def test_running_is_what_the_gateway_means_by_it():
    from dask_gateway_server.backends.db_base import JobStatus

    assert JobStatus.RUNNING.value == report.RUNNING


def test_servers_of_a_hub_that_does_not_answer(tmp_path, state_home, standins):
    assert count_servers(standins.place.storage("x")) is None
