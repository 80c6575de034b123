"""A thousand pods: arrays within the site's limits, one query for all, none lost."""

import json
import time
import uuid

import pytest

from tests.engines.slurm.plugin import flags, make_pod

pytestmark = [pytest.mark.engines, pytest.mark.timeout(300)]


def make_group(count, command, text):
    group = str(uuid.uuid4())
    return [
        make_pod(
            command,
            name=f"job-1-{index}",
            annotations={
                **flags(text),
                "analysis-facility/group": group,
                "analysis-facility/group-size": str(count),
                "analysis-facility/index": str(index),
            },
        )
        for index in range(count)
    ]


def test_a_thousand_pods_are_few_arrays_and_one_query_each_tick(
    start_slurm, start_plugin
):
    slurm = start_slurm(max_array_size=301)
    plugin = start_plugin(slurm)
    pods = make_group(1000, "true", "--begin=now+1hour")
    for first in range(0, 1000, 250):
        assert len(plugin.create(*pods[first : first + 250])) == 250
    plugin.wait(
        lambda: all(s["JID"] for s in plugin.statuses(*pods)), 100, "all have a job"
    )
    jobs = {s["JID"] for s in plugin.statuses(*pods)}
    assert len(jobs) == 1000
    assert slurm.calls("sbatch") == 4
    assert len({job.partition("_")[0] for job in jobs}) == 4
    assert sorted(slurm.jobs()) == sorted(jobs)

    plugin.wait(
        lambda: all("BeginTime" in json.dumps(s) for s in plugin.statuses(*pods)),
        60, "all have Slurm's reason",
    )  # fmt: skip
    before, began = slurm.calls("squeue"), time.monotonic()
    while slurm.calls("squeue") < before + 4:
        assert len(plugin.statuses(*pods)) == 1000
        time.sleep(0.2)
    queries, took_s = slurm.calls("squeue") - before, time.monotonic() - began
    # A tick is 2 s, however often one asks; calls are counted a little after they begin,
    # on a loaded machine by more than a second.
    assert queries <= took_s / 2 + 2
    assert slurm.calls("sacct") + slurm.calls("scontrol") <= 1  # at start

    for pod in pods:
        plugin.delete(pod)
    plugin.wait(lambda: not plugin.running(), 100, "all are gone")
    assert slurm.jobs() == []
    assert plugin.statuses(*pods) == []


def test_a_submit_limit_slows_down_and_loses_none(start_slurm, start_plugin):
    slurm = start_slurm(nodes=2, database=True)
    slurm.run("sacctmgr", "-i", "modify", "user", slurm.user, "set", "maxsubmitjobs=7")
    plugin = start_plugin(slurm)
    pods = make_group(24, "echo $FACILITY_JOB_INDEX", "--time=10")
    plugin.create(*pods)
    most = 0
    while plugin.running():
        most = max(most, len(slurm.jobs()))
        time.sleep(0.3)
    assert 1 <= most <= 7
    ends = [plugin.wait_end(pod) for pod in pods]
    assert {end["exitCode"] for end in ends} == {0}
    assert "AssocMaxSubmitJobLimit" not in plugin.log.read_text()


def test_jobs_that_the_queue_forgot_are_looked_up_in_the_accounts(
    start_slurm, start_plugin
):
    slurm = start_slurm(nodes=1, database=True, extra="MinJobAge=2")
    plugin = start_plugin(slurm)
    pod = make_pod("true", annotations=flags("--begin=now+1hour"))
    plugin.create(pod)
    jid = plugin.wait(lambda: plugin.status(pod)["JID"], 60, "a job id")
    plugin.kill()
    slurm.run("scancel", jid)
    slurm.wait(
        lambda: jid not in slurm.run("squeue", "-htall", "-o%i"), 90, "forgotten"
    )
    slurm.wait(lambda: "CANCELLED" in slurm.run("sacct", "-Xnj", jid), 60, "accounts")
    plugin.restart()
    assert plugin.wait_end(pod)["reason"] == "Cancelled"


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_thousand_executions(slurm, start_plugin):
    plugin = start_plugin(slurm)
    pods = make_group(1000, "echo $HOSTNAME", "--time=10")
    plugin.create(*pods)
    plugin.wait(lambda: not plugin.running(), 3000, "all have ended")
    ends = [s["containers"][0]["state"]["terminated"] for s in plugin.statuses(*pods)]
    assert [end["exitCode"] for end in ends] == [0] * 1000
