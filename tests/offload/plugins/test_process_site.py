"""The executor ``process``: what fits runs, and nothing runs twice."""

import os
import signal
import time

import psutil

from tests.engines.slurm.plugin import make_pod, phase_of

MARK = "FACILITY_SITE_JOB"


def processes_of(plugin):
    instance = (plugin.work / "instance").read_text()
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK, "").startswith(instance):
                found.append(process)
        except psutil.Error:
            continue
    return found


def until_there(path):
    """Return a command that ends once a file is there."""
    return f"until [ -e {path} ]; do sleep 0.05; done"


def test_what_does_not_fit_waits_and_says_so(start_plugin, tmp_path):
    plugin = start_plugin(process={"cpus": 1})
    first = make_pod(f"{until_there(tmp_path / 'end')}; echo first")
    second = make_pod("echo second")
    plugin.create(first)
    plugin.wait_phase(first, "Running")
    plugin.create(second)
    plugin.wait(lambda: "Resources" in str(plugin.state(second)), 10, "it waits")
    assert phase_of(plugin.status(second)) == "Pending"
    (tmp_path / "end").touch()
    end = plugin.wait_end(second)
    assert end["exitCode"] == 0, end
    assert plugin.wait_end(first)["exitCode"] == 0


def test_each_slice_is_given_to_one(start_plugin, tmp_path):
    plugin = start_plugin(process={"devices": {"1g.5gb": ["MIG-a", "MIG-b"]}})
    asks = {"nvidia.com/mig-1g.5gb": "1", "cpu": "100m"}
    pods = [
        make_pod(
            f"echo $CUDA_VISIBLE_DEVICES; {until_there(tmp_path / 'end')}", limits=asks
        )
        for _ in range(3)
    ]
    for pod in pods:
        plugin.create(pod)
    for pod in pods[:2]:
        plugin.wait_phase(pod, "Running")
    (tmp_path / "end").touch()
    for pod in pods:
        assert plugin.wait_end(pod)["exitCode"] == 0
    assert {plugin.logs(pod) for pod in pods[:2]} == {b"MIG-a\n", b"MIG-b\n"}
    assert plugin.logs(pods[2]) in {b"MIG-a\n", b"MIG-b\n"}


def test_a_killed_plugin_finds_its_jobs_again(start_plugin, tmp_path):
    plugin = start_plugin()
    pod = make_pod(f"echo ran; {until_there(tmp_path / 'end')}; echo end")
    plugin.create(pod)
    plugin.wait_phase(pod, "Running")
    plugin.restart()
    (tmp_path / "end").touch()
    assert plugin.wait_end(pod)["exitCode"] == 0
    assert plugin.logs(pod) == b"ran\nend\n"


def test_a_job_whose_processes_are_killed_goes_on(start_plugin, tmp_path):
    """Batch script and wrapper die; the container lives, and is found again."""
    plugin = start_plugin()
    pod = make_pod(f"echo ran; {until_there(tmp_path / 'end')}; echo end")
    plugin.create(pod)
    plugin.wait_phase(pod, "Running")
    for process in processes_of(plugin):
        if any("offload.plugins.node" in part for part in process.cmdline()) or (
            process.name() == "sh"
        ):
            process.kill()
    (tmp_path / "end").touch()
    assert plugin.wait_end(pod)["exitCode"] == 0
    assert plugin.logs(pod) == b"ran\nend\n"


def test_killed_right_after_create(start_plugin):
    plugin = start_plugin()
    pods = []
    for pause_s in (0.0, 0.02, 0.1):
        pods.append(make_pod("echo ran", limits={"cpu": "100m"}))
        plugin.create(pods[-1])
        time.sleep(pause_s)
        plugin.restart()
    for pod in pods:
        assert plugin.wait_end(pod)["exitCode"] == 0
        assert plugin.logs(pod) == b"ran\n"
    plugin.wait(lambda: processes_of(plugin) == [], 60, "nothing is left")


def test_jobs_go_on_when_the_plugin_is_stopped(start_plugin, tmp_path):
    plugin = start_plugin()
    pod = make_pod(f"{until_there(tmp_path / 'end')}; echo end")
    plugin.create(pod)
    plugin.wait_phase(pod, "Running")
    os.kill(plugin.process.pid, signal.SIGTERM)
    plugin.process.wait(20)
    assert processes_of(plugin)
    assert not plugin.socket.exists()
    (tmp_path / "end").touch()
    plugin.start()
    assert plugin.wait_end(pod)["exitCode"] == 0
