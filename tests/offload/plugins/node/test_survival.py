"""kill -9, requeues and dead jobs: user code runs once per attempt, nothing is lost."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from offload.plugins.node.folder import ExitCode, write_json

MARK = "echo run >> $HOME/runs; "


def runs(pod) -> int:
    path = pod.folder.path / "home" / "runs"
    return len(path.read_text().splitlines()) if path.exists() else 0


def kill(wrapper):
    wrapper.send_signal(signal.SIGKILL)
    wrapper.communicate(timeout=10)


@pytest.mark.parametrize("delay_s", [0.0, 0.02, 0.04, 0.06, 0.08, 0.1, 0.15, 0.2, 0.3])
def test_a_wrapper_killed_at_any_moment_is_followed_by_another(make, delay_s):
    pod = make(MARK + "sleep 0.2; echo end; exit 5")
    wrapper = pod.start()
    time.sleep(delay_s)
    kill(wrapper)
    assert pod.run() == ExitCode.FAILED
    assert runs(pod) == 1
    assert pod.log() == "end\n"
    assert pod.ended()["exitCode"] == 5


def test_killed_again_and_again(make):
    pod = make(MARK + "echo a; sleep 1; echo b", init={"first": MARK + "sleep 0.3"})
    for number in range(8):
        wrapper = pod.start()
        time.sleep(0.05 + 0.03 * number)
        kill(wrapper)
    assert pod.run() == ExitCode.SUCCEEDED
    assert runs(pod) == 2
    assert pod.log() == "a\nb\n"


def test_a_container_ends_while_nobody_watches(make):
    pod = make(MARK + "sleep 0.2; exit 7")
    wrapper = pod.start()
    pod.wait(lambda: runs(pod) == 1)
    kill(wrapper)
    pod.wait(lambda: list(pod.folder.path.glob("run/0/main.0/exit.json")))
    assert pod.run() == ExitCode.FAILED
    assert pod.ended()["exitCode"] == 7


def test_a_new_wrapper_can_still_end_it(make):
    pod = make("echo here; sleep 30")
    wrapper = pod.start()
    pod.wait_for_log("here")
    kill(wrapper)
    again = pod.start()
    pod.wait(lambda: listens(again), "a wrapper that takes signals")
    again.send_signal(signal.SIGTERM)
    again.communicate(timeout=20)
    assert pod.ended()["exitCode"] == 143


def listens(wrapper) -> bool:
    """Whether it would not be ended by SIGTERM at once: proc(5), SigCgt."""
    status = Path(f"/proc/{wrapper.pid}/status").read_text()
    caught = int(status.partition("SigCgt:")[2].split()[0], 16)
    return bool(caught >> (signal.SIGTERM - 1) & 1)


def test_a_killed_shim_loses_the_exit_code_and_nothing_runs_on(make):
    pod = make(MARK + "echo $$$$ > $HOME/pid; exec sleep 300")
    wrapper = pod.start()
    said = pod.folder.path / "home" / "pid"
    pod.wait(lambda: said.exists() and said.read_text().endswith("\n"))
    shim = json.loads((pod.folder.path / "run/0/main.0/started").read_text())["shim"]
    os.kill(shim["pid"], signal.SIGKILL)
    assert wrapper.wait(20) == ExitCode.FAILED
    wrapper.communicate()
    assert (pod.ended()["exitCode"], pod.ended()["reason"]) == (137, "Lost")
    pid = int(said.read_text())
    pod.wait(lambda: not is_sleeping(pid), "the end of the container")


def is_sleeping(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text() == "sleep\x00300\x00"
    except OSError:
        return False


def test_a_requeued_job_is_a_new_attempt(make):
    pod = make(MARK + "wc -l < $HOME/runs; [ $(wc -l < $HOME/runs) = 2 ] || sleep 30")
    first = pod.start(SLURM_JOB_ID="7")
    pod.wait_for_log("1")
    first.send_signal(signal.SIGTERM)
    assert first.wait(20) == ExitCode.FAILED
    assert pod.done["stop"] == "Terminated"
    again = {"SLURM_JOB_ID": "7", "SLURM_RESTART_COUNT": "1"}
    assert pod.run(**again) == ExitCode.SUCCEEDED
    assert runs(pod) == 2
    assert pod.log().strip() == "2"
    assert pod.log(kind="previous.log").strip() == "1"
    assert (pod.done["attempt"], pod.done["phase"]) == (1, "Succeeded")


def test_a_requeued_job_that_had_ended_runs_no_more(make):
    pod = make(MARK)
    assert pod.run(SLURM_JOB_ID="7") == ExitCode.SUCCEEDED
    again = {"SLURM_JOB_ID": "7", "SLURM_RESTART_COUNT": "1"}
    assert pod.run(**again) == ExitCode.SUCCEEDED
    assert runs(pod) == 1


def test_an_attempt_on_a_lost_node_ends_without_a_trace(make):
    pod = make("echo here; sleep 30")
    lost = pod.start(SLURM_JOB_ID="7")
    pod.wait_for_log("here")
    claim = json.loads(pod.folder.claim.read_text())
    write_json(pod.folder.claim, {**claim, "attempt": 1, "node": "n2"})
    assert lost.wait(20) == ExitCode.CLAIMED
    assert not pod.folder.done.exists()


def test_a_dead_job_is_closed_by_the_plugin(make):
    pod = make("echo here; sleep 30", others={"quick": "exit 3"})
    wrapper = pod.start(SLURM_JOB_ID="7")
    pod.wait_for_log("here")
    pod.wait(lambda: "terminated" in pod.status("quick")["state"])
    kill(wrapper)
    shim = json.loads((pod.folder.path / "run/0/main.0/started").read_text())["shim"]
    os.kill(shim["pid"], signal.SIGKILL)
    pod.wait(lambda: not Path(f"/proc/{shim['pid']}").exists())
    code = pod.run("--collect", "--reason", "NodeFail", "--message", "n1 is down")
    assert code == ExitCode.FAILED
    assert (pod.done["reason"], pod.done["message"]) == ("NodeFail", "n1 is down")
    assert pod.ended("quick")["exitCode"] == 3
    assert pod.ended()["reason"] == "NodeFail"
    assert pod.run(SLURM_JOB_ID="7") == ExitCode.CLAIMED, "no job may begin after that"
    assert pod.run("--collect") == ExitCode.FAILED, "again is fine"


def test_a_pod_that_never_began_is_closed(make):
    pod = make(MARK)
    pod.run("--collect", "--reason", "Cancelled", "--message", "it was cancelled")
    assert pod.ended()["reason"] == "Cancelled"
    assert pod.run() == ExitCode.CLAIMED
    assert runs(pod) == 0


def test_a_signal_that_came_before_the_wrapper_counts(make):
    pod = make(MARK + "sleep 30")
    assert pod.run(FACILITY_STOPPED="TERM") == ExitCode.FAILED
    assert pod.done["stop"] == "Terminated"
    assert runs(pod) == 0


def test_what_killed_jobs_left_on_the_node_is_cleared(make, work):
    killed, running, last = (
        make("sleep 30", uid="killed"),
        make("sleep 30", uid="running"),
        make("true", uid="last"),
    )
    for pod in (killed, running):
        wrapper = pod.start()
        pod.wait(lambda pod=pod: list(work.glob(f"scratch/*-{pod.folder.path.name}")))
        pod.wait(lambda pod=pod: list(pod.folder.path.glob("run/0/main.0/pid")))
        kill(wrapper)
    pid = json.loads((killed.folder.path / "run/0/main.0/started").read_text())
    os.kill(pid["shim"]["pid"], signal.SIGKILL)
    killed.run("--collect")
    (work / "scratch" / "somebody-elses").mkdir()
    assert last.run() == ExitCode.SUCCEEDED
    left = sorted(path.name for path in (work / "scratch").iterdir())
    assert len(left) == 2
    assert left[0].endswith("-running")
    assert left[1] == "somebody-elses"
