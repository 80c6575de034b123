"""Real plugins below a real launcher: what is killed or stopped loses no job."""

import os
import signal

import pytest

from facility.process import send_signal
from offload.jobs import queries
from offload.jobs.stages import Outcome, Stage

pytestmark = pytest.mark.engines
both = pytest.mark.parametrize("facility", ["process", "slurm"], indirect=True)


@both
def test_a_script_runs_elsewhere_and_its_outputs_are_merged(facility) -> None:
    id_ = facility.submit(0)
    job = facility.done(id_)
    assert (job.outcome, job.message) == (Outcome.SUCCEEDED, "")
    assert list(job.times) == list(Stage)
    assert (facility.root / "results/last.txt").read_text() == "0"
    assert b"".join(queries.logs(facility.settings, id_)) == b"begun\nended\n"


@both
def test_jobs_go_on_while_the_facility_is_down(facility, until) -> None:
    id_ = facility.submit(6)
    facility.begun(id_)
    facility.down()
    assert facility.agent() is None
    assert facility.plugin("here") is None
    facility.up()
    job = facility.done(id_)
    assert job.outcome is Outcome.SUCCEEDED
    assert facility.ran(id_) == 1
    assert (facility.root / "results/last.txt").read_text() == "6"


@both
@pytest.mark.parametrize("who", ["agent", "plugin", "both", "launcher"])
def test_a_job_runs_once_whoever_is_killed_meanwhile(facility, until, who) -> None:
    id_ = facility.submit(3)
    facility.begun(id_)
    agent, plugin = facility.agent(), facility.plugin("here")
    if who in {"agent", "both"}:
        send_signal(agent, signal.SIGKILL)
    if who in {"plugin", "both"}:
        send_signal(plugin, signal.SIGKILL)
    if who == "launcher":
        facility.launcher.kill()
        facility.launcher.wait()
        facility.settings.launcher_socket.unlink()
        facility.up()
    job = facility.done(id_)
    assert job.outcome is Outcome.SUCCEEDED
    assert facility.ran(id_) == 1
    assert (facility.root / "results/last.txt").read_text() == "3"
    # Nobody has started a second plugin or agent beside one that lived.
    if who == "agent":
        assert facility.plugin("here") == plugin
    if who == "launcher":
        assert facility.agent() == agent


@both
def test_a_cancelled_job_ends_and_leaves_what_it_had(facility, until) -> None:
    id_ = facility.submit(300)
    facility.begun(id_)
    until(lambda: queries.job(facility.settings, id_).stage is Stage.RUNNING)
    assert queries.cancel(facility.settings, id_)
    job = facility.done(id_)
    assert job.outcome is Outcome.CANCELLED
    assert (facility.root / "results/first.txt").read_text() == "300"
    assert not (facility.root / "results/last.txt").exists()


@both
def test_a_job_that_takes_too_long_is_ended(facility) -> None:
    job = facility.done(facility.submit(300, time_s=4))
    assert job.outcome is Outcome.TIMED_OUT
    assert (facility.root / "results/first.txt").read_text() == "300"


@both
def test_many_equal_jobs_end_each_in_its_own_folder(facility) -> None:
    id_ = facility.submit(0, count=12)
    job = facility.done(id_)
    assert job.outcomes == {Outcome.SUCCEEDED: 12}
    assert facility.ran(id_) == 12
    for index in range(12):
        folder = facility.settings.folder(id_) / str(index)
        assert (folder / "outputs/results/last.txt").read_text() == "0"


def test_logs_are_followed_while_the_plugin_is_killed(facility) -> None:
    id_ = facility.submit(2)
    facility.begun(id_)
    logs = queries.logs(facility.settings, id_, follow=True)
    first = next(logs)
    send_signal(facility.plugin("here"), signal.SIGKILL)
    assert first + b"".join(logs) == b"begun\nended\n"


def test_a_plugin_bears_no_mark_of_the_facility(facility, until) -> None:
    id_ = facility.submit(1)
    facility.begun(id_)
    plugin = facility.plugin("here")
    with open(f"/proc/{plugin.pid}/environ", "rb") as file:  # noqa: PTH123
        environment = file.read()
    assert b"\0FACILITY_" not in environment
    assert os.getsid(plugin.pid) == plugin.pid
    facility.done(id_)
