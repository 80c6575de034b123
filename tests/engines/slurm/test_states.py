"""Every state that a Slurm can be driven into: declared phase, reason and words."""

import re
import shutil

import pytest

from tests.engines.slurm.plugin import flags, make_pod, phase_of, uid_of

pytestmark = [pytest.mark.engines, pytest.mark.timeout(240)]


def test_completed(plugin):
    pod = make_pod("echo hello")
    created = plugin.create(pod)
    assert created["PodUID"] == uid_of(pod)
    end = plugin.wait_end(pod)
    assert (end["exitCode"], end["reason"]) == (0, "Completed")
    assert plugin.status(pod)["JID"].isdecimal()
    assert plugin.logs(pod) == b"hello\n"


def test_failed_has_the_exit_code(plugin):
    pod = make_pod("exit 3")
    plugin.create(pod)
    end = plugin.wait_end(pod)
    assert (end["exitCode"], end["reason"]) == (3, "Error")


def test_queued_is_pending_with_a_reason(plugin):
    pod = make_pod("true", annotations=flags("--begin=now+1hour"))
    plugin.create(pod)
    plugin.wait(lambda: "BeginTime" in str(plugin.state(pod)), 60, "the reason")
    kind, waiting = plugin.state(pod)
    assert (kind, waiting["reason"]) == ("waiting", "Queued")
    assert waiting["message"] == "it waits for its start time (BeginTime)"
    assert phase_of(plugin.status(pod)) == "Pending"
    plugin.delete(pod)


def test_held(plugin, slurm):
    pod = make_pod("true", annotations=flags("--begin=now+1hour"))
    plugin.create(pod)
    jid = plugin.wait(lambda: plugin.status(pod)["JID"], 60, "a job id")
    slurm.run("scontrol", "hold", jid)
    plugin.wait(lambda: plugin.state(pod)[1].get("reason") == "Held", 60, "held")
    plugin.delete(pod)


def held(**options):
    """A pod that runs until :func:`release` is called."""
    # A shell may live long enough to say that its child was terminated.
    return make_pod(
        "exec 2>/dev/null; echo begin; until [ -e /tmp/gate/open ]; do sleep 0.1; done;"
        " echo end",
        container={"volumeMounts": [{"name": "gate", "mountPath": "/tmp/gate"}]},
        volumes=[{"name": "gate", "emptyDir": {}}],
        **options,
    )


def release(plugin, pod):
    (plugin.work / "pods" / uid_of(pod) / "volumes/gate/open").touch()


def test_suspended_is_running(plugin, slurm):
    pod = held()
    plugin.create(pod)
    jid = plugin.wait_phase(pod, "Running")["JID"]
    slurm.run("scontrol", "suspend", jid)
    slurm.wait(lambda: "SUSPENDED" in slurm.run("squeue", "-ho%T"), 60, "suspended")
    plugin.ask("GET", "/facility/v1/changes?since=0&timeout_s=0")
    assert phase_of(plugin.status(pod)) == "Running"
    slurm.run("scontrol", "resume", jid)
    release(plugin, pod)
    assert plugin.wait_end(pod)["exitCode"] == 0


def test_cancelled_behind_our_back(plugin, slurm):
    pod = make_pod("sleep 100")
    plugin.create(pod)
    jid = plugin.wait_phase(pod, "Running")["JID"]
    slurm.run("scancel", jid)
    end = plugin.wait_end(pod)
    assert end["reason"] == "Cancelled"
    assert end["exitCode"] != 0


def test_cancelled_in_the_queue(plugin, slurm):
    pod = make_pod("true", annotations=flags("--begin=now+1hour"))
    plugin.create(pod)
    jid = plugin.wait(lambda: plugin.status(pod)["JID"], 60, "a job id")
    slurm.run("scancel", jid)
    end = plugin.wait_end(pod)
    assert end["reason"] == "Cancelled"
    assert "CANCELLED" in end["message"]


def test_own_deadline(plugin):
    pod = make_pod("sleep 100", activeDeadlineSeconds=2)
    plugin.create(pod)
    assert plugin.wait_end(pod)["reason"] == "DeadlineExceeded"


def test_time_limit_of_slurm(plugin):
    pod = make_pod("sleep 300", annotations=flags("--time=1"))
    plugin.create(pod)
    end = plugin.wait_end(pod, 150)
    assert end["reason"] == "DeadlineExceeded"
    assert end["exitCode"] != 0


def test_preempted(plugin, slurm):
    """Where preemption cancels, the pod fails."""
    node = slurm.nodes[0]
    place = f"--nodelist={node} --exclusive"
    pod = make_pod("sleep 100", annotations=flags(f"-p spare {place}"))
    plugin.create(pod)
    plugin.wait_phase(pod, "Running")
    slurm.run("sbatch", "-p", "urgent", *place.split(), "--wrap", "sleep 1")
    end = plugin.wait_end(pod)
    assert end["reason"] == "Preempted"
    assert end["exitCode"] != 0


def test_preempted_and_requeued_stays_the_same_pod(plugin, slurm):
    """Where preemption requeues, the pod waits and runs again under its UID and id."""
    node = slurm.nodes[1]
    place = f"--nodelist={node} --exclusive"
    pod = held(annotations=flags(place))
    plugin.create(pod)
    jid = plugin.wait_phase(pod, "Running")["JID"]
    plugin.wait(lambda: plugin.logs(pod) == b"begin\n", 60, "its first word")
    over = slurm.folder / "urgent-is-over"
    urgent = f"until [ -e {over} ]; do sleep 0.1; done"
    slurm.run("sbatch", "-p", "urgent", *place.split(), "--wrap", urgent)
    plugin.wait(
        lambda: plugin.state(pod)[1].get("reason") == "Requeued", 60, "requeued"
    )
    status = plugin.status(pod)
    assert phase_of(status) == "Pending"
    assert status["containers"][0]["restartCount"] == 1
    assert status["containers"][0]["lastState"]["terminated"]["exitCode"] != 0
    over.touch()
    release(plugin, pod)
    end = plugin.wait_end(pod)
    assert (end["exitCode"], end["reason"]) == (0, "Completed")
    assert plugin.status(pod)["JID"] == jid
    assert plugin.logs(pod) == b"begin\nend\n"
    assert plugin.logs(pod, Previous=True) == b"begin\n"


def test_slices_become_gres(plugin, slurm):
    pod = make_pod(
        "echo devices $CUDA_VISIBLE_DEVICES", limits={"nvidia.com/mig-1g.5gb": "2"}
    )
    plugin.create(pod)
    assert plugin.wait_end(pod)["exitCode"] == 0
    assert re.fullmatch(rb"devices \d,\d\n", plugin.logs(pod))
    unknown = make_pod("true", limits={"nvidia.com/mig-7g.80gb": "1"})
    status, headers, content = plugin.ask("POST", "/create", unknown)
    assert status == 422
    assert headers["content-type"] == "application/problem+json"
    assert b"this site has no slice '7g.80gb'; it has: 1g.5gb" in content


def test_refused_by_slurm_is_said(plugin):
    pod = make_pod("true", annotations=flags("--partition=nowhere"))
    plugin.create(pod)
    end = plugin.wait_end(pod)
    assert end["reason"] == "Refused"
    assert "nvalid partition" in end["message"]


def test_node_failure(start_slurm, start_plugin):
    slurm = start_slurm(nodes=2)
    plugin = start_plugin(slurm)
    for_ever = make_pod("sleep 1000", annotations=flags("--no-requeue -w n1"))
    again = held(annotations=flags("-w n1"))
    plugin.create(for_ever)
    plugin.create(again)
    plugin.wait_phase(for_ever, "Running")
    plugin.wait_phase(again, "Running")
    slurm.kill_node("n1")
    slurm.run("scontrol", "update", "nodename=n1", "state=down", "reason=test")
    end = plugin.wait_end(for_ever)
    assert end["reason"] == "NodeFail"
    assert end["exitCode"] != 0
    plugin.wait(lambda: plugin.state(again)[1].get("reason") == "Requeued", 60, "back")
    jid = plugin.status(again)["JID"]
    slurm.run("scontrol", "update", f"jobid={jid}", "reqnodelist=n2")
    release(plugin, again)
    assert plugin.wait_end(again)["exitCode"] == 0
    assert plugin.logs(again) == b"begin\nend\n"


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("BOOT_FAIL", "BootFail"),
        ("DEADLINE", "DeadlineExceeded"),
        ("REVOKED", "Cancelled"),
    ],
)
def test_states_that_no_test_machine_reaches(start_slurm, start_plugin, state, reason):
    """The client says so in the name of a Slurm that could."""
    slurm = start_slurm(nodes=1)
    squeue = shutil.which("squeue")
    (slurm.bin / "squeue").write_text(
        f'#!/bin/sh\n{squeue} "$@" | sed "s/PENDING/{state}/"\n'
    )
    plugin = start_plugin(slurm)
    pod = make_pod("true", annotations=flags("--begin=now+1hour"))
    plugin.create(pod)
    end = plugin.wait_end(pod)
    assert end["reason"] == reason
    assert state in end["message"]
    assert phase_of(plugin.status(pod)) == "Failed"


def test_out_of_memory(start_slurm, start_plugin):
    slurm = start_slurm(nodes=1, cgroups=True)
    if not slurm.has_cgroups:
        pytest.skip("memory limits need root and control groups (v1)")
    plugin = start_plugin(slurm)
    pod = make_pod(
        "python3 -c 'x = bytearray(500_000_000)'", limits={"memory": "100Mi"}
    )
    plugin.create(pod)
    end = plugin.wait_end(pod)
    assert (end["exitCode"], end["reason"]) == (137, "OOMKilled")
