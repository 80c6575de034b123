"""kill -9 of the plugin at every step: each pod runs once, and no job is left over."""

import contextlib
import random
import shutil
import time

import pytest

from tests.engines.slurm.plugin import flags, make_pod, phase_of

pytestmark = [pytest.mark.engines, pytest.mark.timeout(240)]


def runs_of(plugin, pod):
    """How often the pod's command ran: its log is what all runs have written."""
    return plugin.logs(pod).count(b"ran\n")


def assert_once_and_no_orphan(plugin, slurm, pods):
    for pod in pods:
        end = plugin.wait_end(pod, 90)
        assert (end["exitCode"], end["reason"]) == (0, "Completed")
        assert runs_of(plugin, pod) == 1
    slurm.wait(lambda: slurm.jobs() == [], 60, "no job is left")


def intercept(slurm, plugin, script):
    """Put a script before sbatch, once: ``$real`` is sbatch, ``$pid`` the plugin."""
    program, flag = slurm.bin / "sbatch", plugin.folder / "once"
    flag.touch()
    program.write_text(
        "#!/bin/sh\n"
        f"real={shutil.which('sbatch')}\n"
        f"if rm {flag} 2>/dev/null; then\n"
        f"    pid=$(cat {plugin.folder}/pid)\n"
        f"    {script}\n"
        'else exec $real "$@"; fi\n'
    )


STEPS = {
    "before sbatch": "kill -9 $pid",
    "while sbatch is on its way": 'kill -9 $pid; sleep 1; exec $real "$@"',
    "long before sbatch arrives": 'kill -9 $pid; sleep 6; exec $real "$@"',
    "after sbatch, before it is recorded": '$real "$@" >/dev/null; kill -9 $pid',
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("count", [1, 3])
def test_killed_around_sbatch(start_slurm, start_plugin, step, count):
    slurm = start_slurm(nodes=1)
    plugin = start_plugin(slurm)
    intercept(slurm, plugin, STEPS[step])
    annotations = {
        "analysis-facility/group": "g",
        "analysis-facility/group-size": str(count),
    }
    pods = [
        make_pod("echo ran; sleep 2", annotations=annotations) for _ in range(count)
    ]
    with contextlib.suppress(ConnectionError):  # it may be killed before it answers
        plugin.create(*pods)
    plugin.process.wait(60)
    plugin.restart()
    plugin.create(*pods)  # as who heard no answer does; who did changes nothing
    assert_once_and_no_orphan(plugin, slurm, pods)


def test_sbatch_without_an_answer(start_slurm, start_plugin):
    """It took the job, and died before it said so."""
    slurm = start_slurm(nodes=1)
    plugin = start_plugin(slurm, slurm={"commands": str(slurm.bin), "timeout": 2})
    intercept(slurm, plugin, '$real "$@" >/dev/null; exec sleep 60')
    pod = make_pod("echo ran")
    plugin.create(pod)
    assert_once_and_no_orphan(plugin, slurm, [pod])


def test_deletion_is_tried_until_it_is_confirmed(start_slurm, start_plugin):
    slurm = start_slurm(nodes=1)
    plugin = start_plugin(slurm)
    scancel = (slurm.bin / "scancel").read_text()
    (slurm.bin / "scancel").write_text("#!/bin/sh\necho no controller >&2\nexit 1\n")
    pod = make_pod("trap '' TERM; while :; do sleep 1; done",
                   annotations=flags("--begin=now+1hour"))  # fmt: skip
    plugin.create(pod)
    plugin.wait(lambda: plugin.status(pod)["JID"], 60, "a job id")
    plugin.delete(pod)
    time.sleep(3)
    assert slurm.jobs() != []
    assert plugin.statuses(pod) != []  # not confirmed
    plugin.restart()
    (slurm.bin / "scancel").write_text(scancel)
    slurm.wait(lambda: slurm.jobs() == [], 60, "it is gone")
    plugin.wait(lambda: plugin.statuses(pod) == [], 60, "it is confirmed")


def test_deletion_survives_a_scheduler_that_is_away(start_slurm, start_plugin):
    slurm = start_slurm(nodes=1)
    plugin = start_plugin(slurm, slurm={"commands": str(slurm.bin), "timeout": 3})
    pod = make_pod("sleep 200")
    plugin.create(pod)
    plugin.wait_phase(pod, "Running")
    slurm.stop_controller()
    plugin.delete(pod)
    plugin.restart()
    assert plugin.ask("GET", "/status", [])[0] in {200, 503}
    slurm.start_controller()
    slurm.wait(lambda: slurm.jobs() == [], 60, "it is gone")
    plugin.wait(lambda: plugin.statuses(pod) == [], 60, "it is confirmed")


def test_a_job_that_nobody_wants_is_ended(start_slurm, start_plugin):
    slurm = start_slurm(nodes=1)
    plugin = start_plugin(slurm)
    pod = make_pod("sleep 100")
    plugin.create(pod)
    plugin.wait_phase(pod, "Running")
    plugin.kill()
    # As if a job had been submitted for a pod that never was recorded.
    instance = (plugin.work / "instance").read_text()
    slurm.run("sbatch", f"--comment=analysis-facility/{instance}/x", "--hold",
              "--wrap", "true")  # fmt: skip
    slurm.run("sbatch", "--comment=somebody else's", "--hold", "--wrap", "true")
    plugin.restart()
    slurm.wait(lambda: len(slurm.jobs()) == 2, 60, "the orphan is gone")
    assert runs_of(plugin, pod) == 0
    assert phase_of(plugin.status(pod)) == "Running"
    slurm.run("scancel", "--state=PENDING", f"--user={slurm.user}")


def rounds_of_kills(slurm, plugin, rounds, seed):
    chance = random.Random(seed)
    pods = []
    for _ in range(rounds):
        some = [make_pod("echo ran") for _ in range(2)]
        pods += some
        for pod in some:
            plugin.create(pod)
        time.sleep(chance.uniform(0, 1.5))
        plugin.restart()
    assert_once_and_no_orphan(plugin, slurm, pods)


def test_killed_at_any_moment(start_slurm, start_plugin):
    slurm = start_slurm(nodes=2)
    rounds_of_kills(slurm, start_plugin(slurm), rounds=8, seed=4)


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_killed_two_hundred_times(start_slurm, start_plugin):
    slurm = start_slurm(nodes=4)
    rounds_of_kills(slurm, start_plugin(slurm), rounds=200, seed=5)
