"""Whole pods, run by the wrapper as the batch script runs it, without a sandbox."""

import json
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from offload.plugins.node import nodes
from offload.plugins.node.folder import ExitCode
from offload.plugins.node.settings import NodeSettings

CODE = {"name": "code", "emptyDir": {}}
CODE_MOUNT = {"name": "code", "mountPath": "/home/somebody/project"}


def test_a_pod_that_succeeds(make):
    pod = make("echo hello; echo there >&2")
    assert pod.run() == ExitCode.SUCCEEDED
    assert pod.log() == "hello\nthere\n"
    assert pod.done["phase"] == "Succeeded"
    assert pod.done["exit_code"] == 0
    assert pod.done["outputs_error"] == ""
    ended = pod.ended()
    assert (ended["exitCode"], ended["reason"]) == (0, "Completed")
    assert ended["startedAt"] <= ended["finishedAt"]


def test_a_pod_that_fails(make):
    pod = make("echo bad fit > /dev/termination-log; exit 3")
    assert pod.run() == ExitCode.FAILED
    assert pod.done["phase"] == "Failed"
    assert (pod.done["exit_code"], pod.done["message"]) == (3, "bad fit\n")
    assert pod.ended()["message"] == "bad fit\n"


def test_what_it_makes_others_may_read_as_at_home(make):
    pod = make("umask; umask 077; umask")
    before = os.umask(0o077)  # a plugin's
    try:
        assert pod.run() == ExitCode.SUCCEEDED
    finally:
        os.umask(before)
    assert pod.log() == "0022\n0077\n"


def test_started_again_after_its_end_it_does_nothing(make):
    pod = make("echo once; exit 3")
    assert pod.run() == ExitCode.FAILED
    before = pod.folder.done.read_bytes()
    assert pod.run() == ExitCode.FAILED
    assert pod.log() == "once\n"
    assert pod.folder.done.read_bytes() == before


def test_of_two_jobs_with_one_pod_the_second_leaves_at_once(make):
    pod = make("echo once")
    assert pod.run(SLURM_JOB_ID="7") == ExitCode.SUCCEEDED
    assert pod.run(SLURM_JOB_ID="8") == ExitCode.CLAIMED
    assert pod.log() == "once\n"


def test_a_second_wrapper_of_the_same_job_leaves_at_once(make):
    pod = make("echo here; sleep 30")
    first = pod.start()
    pod.wait_for_log("here")
    assert pod.run() == ExitCode.RUNNING
    first.send_signal(signal.SIGTERM)
    first.communicate(timeout=20)


def test_a_folder_without_a_pod(make, tmp_path):
    pod = make()
    pod.folder.pod.write_text("{}")
    assert pod.run() == ExitCode.USAGE
    assert "expected a pod" in pod.stderr
    assert len(pod.stderr.splitlines()) == 1
    assert not pod.folder.claim.exists()


def said(pod) -> list[str]:
    """Return the lines of the log, without what a shell says of its own children."""
    return [line for line in pod.log().splitlines() if line != "Terminated"]


def test_a_signal_ends_it_with_grace(make):
    pod = make(
        'trap "echo saving; exit 4" TERM; echo here; while :; do sleep 0.05; done'
    )
    wrapper = pod.start()
    pod.wait_for_log("here")
    wrapper.send_signal(signal.SIGTERM)
    assert wrapper.wait(20) == ExitCode.FAILED
    assert said(pod) == ["here", "saving"]
    assert pod.done["stop"] == "Terminated"
    assert (pod.ended()["exitCode"], pod.ended()["reason"]) == (4, "Terminated")


def test_what_started_a_program_does_not_cut_its_grace(make):
    child = "trap 'sleep 0.3; echo saved; exit' TERM; echo here; while :; do sleep 0.05; done"
    pod = make(f'sh -c "{child}"; echo never')
    wrapper = pod.start()
    pod.wait_for_log("here")
    wrapper.send_signal(signal.SIGTERM)
    wrapper.wait(20)
    assert said(pod) == ["here", "saved"]


def test_who_ignores_the_signal_is_killed(make):
    pod = make(
        "trap '' TERM; echo here; while :; do sleep 0.05; done",
        terminationGracePeriodSeconds=0,
    )
    wrapper = pod.start()
    pod.wait_for_log("here")
    wrapper.send_signal(signal.SIGTERM)
    wrapper.wait(20)
    assert (pod.ended()["exitCode"], pod.ended()["signal"]) == (137, 9)


def test_a_file_of_the_plugin_cancels_it(make):
    pod = make("echo here; sleep 30")
    wrapper = pod.start()
    pod.wait_for_log("here")
    pod.folder.cancelled.touch()
    assert wrapper.wait(20) == ExitCode.FAILED
    assert (pod.done["stop"], pod.done["reason"]) == ("Cancelled", "Cancelled")
    assert pod.ended()["reason"] == "Cancelled"


def test_cancelled_before_it_began(make):
    pod = make("echo never")
    pod.folder.cancelled.touch()
    assert pod.run() == ExitCode.FAILED
    assert not (pod.folder.logs / "main.log").exists()
    assert pod.ended()["reason"] == "Cancelled"


def test_a_deadline_ends_it(make):
    pod = make("sleep 30", activeDeadlineSeconds=1)
    assert pod.run() == ExitCode.FAILED
    assert pod.done["reason"] == pod.ended()["reason"] == "DeadlineExceeded"


def test_the_end_of_an_allocation_is_a_deadline(make):
    pod = make("echo here; sleep 30")
    wrapper = pod.start(SLURM_JOB_ID="7", SLURM_JOB_END_TIME="1")
    pod.wait_for_log("here")
    wrapper.send_signal(signal.SIGTERM)
    wrapper.wait(20)
    assert pod.ended()["reason"] == "DeadlineExceeded"


def test_init_containers_run_in_order_before_the_others(make):
    pod = make(
        "cat trace; echo main",
        init={"one": "echo one >> trace", "two": "cat trace; echo two >> trace"},
        volumes=[CODE],
        mounts=[CODE_MOUNT],
        main={"workingDir": CODE_MOUNT["mountPath"]},
    )
    document = json.loads(pod.folder.pod.read_text())
    for container in document["pod"]["spec"]["initContainers"]:
        container["workingDir"] = CODE_MOUNT["mountPath"]
    pod.folder.pod.write_text(json.dumps(document))
    assert pod.run() == ExitCode.SUCCEEDED
    assert pod.log("two") == "one\n"
    assert pod.log() == "one\ntwo\nmain\n"
    for container in ("one", "two", "main"):
        assert pod.ended(container)["exitCode"] == 0


def test_a_failed_init_container_fails_the_pod(make):
    pod = make("echo never", init={"one": "exit 9", "two": "echo never"})
    assert pod.run() == ExitCode.FAILED
    assert (pod.done["phase"], pod.done["exit_code"]) == ("Failed", 9)
    assert not (pod.folder.logs / "main.log").exists()
    assert not (pod.folder.logs / "two.log").exists()
    assert pod.done["containers"][0]["state"]["waiting"]["reason"] == "PodInitializing"


def test_several_containers_run_at_the_same_time(make):
    meet = "touch {me}; until [ -e {other} ]; do sleep 0.02; done; echo met"
    pod = make(
        "cd /home/somebody/project; " + meet.format(me="a", other="b"),
        others={"side": "cd /home/somebody/project; " + meet.format(me="b", other="a")},
        volumes=[CODE],
        mounts=[CODE_MOUNT],
    )
    assert pod.run() == ExitCode.SUCCEEDED
    assert (pod.log(), pod.log("side")) == ("met\n", "met\n")


def test_one_failed_container_fails_the_pod(make):
    pod = make("exit 0", others={"side": "exit 6"})
    assert pod.run() == ExitCode.FAILED
    assert (pod.done["phase"], pod.done["exit_code"]) == ("Failed", 6)


def test_on_failure_it_runs_again_and_keeps_the_log_before(make):
    script = "echo run >> $HOME/runs; wc -l < $HOME/runs; [ $(wc -l < $HOME/runs) = 3 ]"
    pod = make(script, restartPolicy="OnFailure")
    assert pod.run() == ExitCode.SUCCEEDED
    assert pod.log().strip() == "3"
    assert pod.log(kind="previous.log").strip() == "2"
    status = pod.status()
    assert status["restartCount"] == 2
    assert status["lastState"]["terminated"]["exitCode"] == 1


def test_what_cannot_be_started_says_why_and_is_not_tried_again(make):
    pod = make(main={"command": ["/no/such/program"]}, restartPolicy="OnFailure")
    assert pod.run() == ExitCode.FAILED
    ended = pod.ended()
    assert (ended["exitCode"], ended["reason"]) == (128, "ContainerCannotRun")
    assert "/no/such/program" in ended["message"]
    assert "No such file" in ended["message"]


@pytest.mark.parametrize(
    ("pod", "words"),
    [
        ({"volumes": [{"name": "x", "nfs": {}}]}, "volume x"),
        ({"mounts": [{"name": "gone", "mountPath": "/x"}]}, "no volume 'gone'"),
        (
            {"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "no"}}}]},
            "no",
        ),
        ({"main": {"image": "busybox"}}, "busybox"),
        ({"main": {"command": []}}, "no command"),
        ({"annotations": {"analysis-facility/tasks": "many"}}, "whole numbers"),
    ],
)
def test_what_the_site_cannot_do_is_said_in_one_line(make, pod, words):
    made = make(**pod)
    assert made.run() == ExitCode.FAILED
    assert made.done["reason"] == "ContainerCannotRun"
    assert words in made.done["message"]
    assert "\n" not in made.done["message"]
    assert made.ended()["exitCode"] == 128


def test_nothing_of_a_container_stays_after_its_end(make):
    pod = make("sleep 300 & echo $! > $HOME/pid; exit 0")
    assert pod.run() == ExitCode.SUCCEEDED
    pid = (pod.folder.path / "home" / "pid").read_text().strip()
    command = Path(f"/proc/{pid}/cmdline")
    assert not command.exists() or "300" not in command.read_text()


def test_secrets_do_not_stay_in_files_of_the_wrapper(make, work):
    secret = {"metadata": {"name": "s"}, "data": {"KEY": "aHVudGVyMg=="}}
    pod = make(
        "echo ok",
        env=[
            {
                "name": "PASSWORD",
                "valueFrom": {"secretKeyRef": {"name": "s", "key": "KEY"}},
            }
        ],
        came_with={"secrets": [secret]},
    )
    assert pod.run() == ExitCode.SUCCEEDED
    for path in work.rglob("*"):
        if path.is_file() and path.name != "pod.json":
            assert b"hunter2" not in path.read_bytes(), path


def test_the_environment_is_the_pods_and_nobody_elses(make):
    pod = make("env", env=[{"name": "LANG", "value": "C.UTF-8"}])
    assert pod.run(SLURM_JOB_ID="5", SECRET_OF_THE_SITE="x") == ExitCode.SUCCEEDED
    names = {line.partition("=")[0] for line in pod.log().splitlines()}
    assert names - {"PWD", "_", "SHLVL", "OLDPWD"} == {
        "FACILITY_JOB_ID",
        "HOME",
        "LANG",
        "PATH",
        "SLURM_JOB_ID",
        "TMPDIR",
    }


def test_temporary_files_are_gone_afterwards(make, work):
    pod = make("echo x > $TMPDIR/x; ls $TMPDIR")
    assert pod.run() == ExitCode.SUCCEEDED
    assert pod.log() == "x\n"
    assert list((work / "scratch").iterdir()) == []


def test_the_index_says_when_lines_were_written(make):
    pod = make("echo one; until [ -e $HOME/go ]; do sleep 0.02; done; echo two")
    moments = [time.time()]
    wrapper = pod.start()
    pod.wait_for_log("one")
    pod.wait(lambda: pod.log(kind="index"), "the index")
    moments.append(time.time())
    (pod.folder.path / "home" / "go").touch()
    wrapper.communicate(timeout=60)
    moments.append(time.time())
    rows = [line.split() for line in pod.log(kind="index").splitlines()]
    assert [int(offset) for offset, _ in rows] == [4, 8]
    first, second = (float(moment) for _, moment in rows)
    # It has milliseconds.
    assert moments[0] - 0.001 <= first <= moments[1] + 0.001
    assert moments[1] - 0.001 <= second <= moments[2] + 0.001


def test_usage(make):
    pod = make()
    assert pod.run("--no-such-option") == ExitCode.USAGE
    assert pod.stderr.startswith("usage:")


LEAVES_A_CHILD = """
import os, signal, time
def stop(*_):
    # Python forgets a signal that comes between fork and its first line in the child.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        time.sleep(300)
    os._exit(0)
signal.signal(signal.SIGTERM, stop)
print('here', flush=True)
time.sleep(300)
"""


def test_what_was_begun_while_its_parent_was_told_to_end_is_told_too(make):
    pod = make(
        main={"command": [sys.executable, "-c", LEAVES_A_CHILD]},
        terminationGracePeriodSeconds=100,
    )
    wrapper = pod.start()
    pod.wait_for_log("here")
    wrapper.send_signal(signal.SIGTERM)
    assert wrapper.wait(60) == ExitCode.FAILED
    assert pod.done["stop"] == "Terminated"


def test_where_one_container_cannot_run_the_others_end(make):
    pod = make("echo here; exec sleep 300", others={"side": "true"})
    document = json.loads(pod.folder.pod.read_text())
    document["pod"]["spec"]["containers"][1]["image"] = "busybox"
    pod.folder.pod.write_text(json.dumps(document))
    assert pod.run() == ExitCode.FAILED
    assert "busybox" in pod.done["message"]
    assert pod.ended("side")["reason"] == "ContainerCannotRun"
    ended = [pod.ended()["reason"]]
    assert ended in (["Error"], ["ContainerCannotRun"]), "killed, or never begun"
    for started in pod.folder.path.glob("run/0/main.0/started"):
        pid = json.loads(started.read_text())["shim"]["pid"]
        pod.wait(lambda pid=pid: not Path(f"/proc/{pid}").exists())


def test_an_unforeseen_error_is_for_the_next_wrapper(make):
    pod = make("echo here; until [ -e $HOME/go ]; do sleep 0.05; done; echo there")
    wrapper = pod.start()
    pod.wait_for_log("here")
    status = pod.folder.status
    aside = status.with_name("aside")
    status.rename(aside)
    status.write_text("no folder")
    (pod.folder.path / "home" / "go").touch()
    wrapper.communicate(timeout=20)
    assert wrapper.returncode not in list(ExitCode)
    status.unlink()
    aside.rename(status)
    assert pod.run() == ExitCode.SUCCEEDED
    assert pod.log() == "here\nthere\n"


def test_a_node_that_can_show_jobs_no_mount_is_noted_by_the_first(make, work):
    pod = make(
        f"until [ -e {work}/nodes/*.json ]; do sleep 0.02; done",
        volumes=[CODE],
        mounts=[CODE_MOUNT],
        main={"workingDir": CODE_MOUNT["mountPath"]},
        annotations={"analysis-facility/working-folder": "code"},
    )
    reading = {"fqrn": "a.b", "urls": ["http://127.0.0.1:9"], "master_keys": ["/key"]}
    replace(NodeSettings.load(work), reading=reading).save(work)
    assert pod.run() == ExitCode.SUCCEEDED
    noted = nodes.noted(work, os.uname().nodename, time.time())
    assert noted.endswith("not by runtime none")
