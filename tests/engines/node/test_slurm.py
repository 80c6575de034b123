"""The wrapper inside real Slurm jobs: signals, requeues, memory, parallel tasks."""

import contextlib
import json
import os
import re
import signal
import sys
import time
from pathlib import Path

import pytest

from offload import zstd
from offload.plugins.node.settings import NodeSettings
from offload.plugins.script import batch_script
from tests.engines.slurm.cluster import SlurmCluster, missing_programs

pytestmark = pytest.mark.engines


@pytest.fixture(scope="module")
def cluster():
    if missing := missing_programs():
        message = f"no {', '.join(missing)}: type .ci/system-packages as root"
        pytest.skip(message)
    # No plugin closes what is killed here: the wrapper needs the time to pack.
    with SlurmCluster(nodes=2, cgroups=True, extra="KillWait=30") as running:
        yield running


@pytest.fixture
def submit(cluster, site):
    """Submit a pod as the plugin does; return it and the job's id."""

    def submit(*command, options=(), runtime="bubblewrap", **pod):
        made = site(*command, runtime=runtime, **pod)
        NodeSettings(
            runtime=runtime, scratch=str(site.work / "scratch"), kill_wait_s=2.0
        ).save(site.work)
        place = site.work / "submission"
        place.mkdir()
        (place / "folders").write_text(f"{made.folder.path}\n")
        (place / "job.sh").write_text(batch_script(Path(sys.executable)))
        answer = cluster.run(
            "sbatch", "--parsable", "--requeue", f"--chdir={place}", "--mem=300",
            f"--output={place}/output", "--open-mode=append", *options,
            str(place / "job.sh"),
        )  # fmt: skip
        return made, answer.strip()

    return submit


def wait_done(cluster, pod, timeout_s=100):
    place = pod.folder.work / "submission" / "output"
    try:
        cluster.wait(pod.folder.done.exists, timeout_s, "the pod is done")
    except AssertionError as error:
        raise AssertionError(f"{error}\n{place.read_text()}") from None


@pytest.mark.parametrize("runtime", ["bubblewrap", "none"])
def test_a_job(cluster, submit, runtime):
    pod, job = submit(
        "sh", "-c", "fit; echo $SLURM_JOB_ID $FACILITY_JOB_ID", runtime=runtime
    )
    wait_done(cluster, pod)
    assert pod.log().splitlines()[1] == f"{job} 42"
    assert pod.done["allocation"] == f"slurm:{job}"
    assert pod.done["outputs"]["size"] > 0


def test_cancelled_by_the_scheduler_it_saves_and_packs(cluster, submit):
    pod, job = submit(
        "python", "-uc",
        "import signal, sys, time\n"
        "def stop(*_): open('state', 'w').write('7'); print('saved'); sys.exit(4)\n"
        "signal.signal(signal.SIGTERM, stop); print('here')\n"
        "while True: time.sleep(0.05)",
    )  # fmt: skip
    pod.wait_for_log("here")
    cluster.run("scancel", job)
    wait_done(cluster, pod)
    assert pod.log() == "here\nsaved\n"
    assert pod.done["stop"] == "Terminated"
    assert pod.done["outputs"]["size"] > 0
    changes = json.loads((pod.folder.path / "changes.json").read_text())
    assert "state" in json.dumps(changes)


def test_a_requeued_job_finds_what_it_saved(cluster, submit):
    pod, job = submit(
        "sh", "-c",
        "echo run >> runs; wc -l < runs; [ $(wc -l < runs) = 2 ] || sleep 60",
    )  # fmt: skip
    pod.wait_for_log("1")
    cluster.run("scontrol", "requeue", job)

    def is_done_again():
        with contextlib.suppress(FileNotFoundError):  # the first one's goes meanwhile
            done = pod.done
            return done["attempt"] == 1 and done["phase"] == "Succeeded"

    cluster.wait(is_done_again, 100, "the second attempt is done")
    assert pod.log().strip() == "2"
    assert pod.log(kind="previous.log").strip() == "1"
    with zstd.ZstdFile(pod.folder.path / "outputs.tar.zst") as packed:
        assert b"run\nrun\n" in packed.read(), "packed by the attempt that ended"


def test_too_much_memory_is_called_so(cluster, submit):
    if not cluster.has_cgroups:
        pytest.skip("needs control groups, as root")
    pod, _ = submit(
        "python", "-c",
        "open('kept', 'w').write('x')\nb = bytearray(900 * 2**20)\nprint(len(b))",
    )  # fmt: skip
    wait_done(cluster, pod)
    assert pod.ended()["reason"] == "OOMKilled"
    assert pod.ended()["exitCode"] == 137
    assert pod.done["outputs"]["size"] > 0


@pytest.mark.parametrize("runtime", ["bubblewrap", "none"])
def test_tasks_run_on_all_nodes_each_in_its_runtime(cluster, submit, runtime):
    pod, _ = submit(
        "python", "-c",
        "import os, sys; sys.stdout.write(f\"{os.environ['SLURM_PROCID']} \""
        " f\"{os.environ['SLURMD_NODENAME']} {os.environ['SLURM_NTASKS']}\\n\")",
        runtime=runtime, options=["--nodes=2", "--ntasks=4"],
        annotations={"analysis-facility/nodes": "2", "analysis-facility/tasks": "4"},
    )  # fmt: skip
    wait_done(cluster, pod)
    rows = sorted(line.split() for line in pod.log().splitlines())
    assert [row[0] for row in rows] == ["0", "1", "2", "3"], pod.log()
    assert {row[1] for row in rows} == set(cluster.nodes)
    assert {row[2] for row in rows} == {"4"}
    assert not list(pod.folder.path.rglob("task.json")), "it held the environment"


def test_a_failed_task_ends_all_and_is_named(cluster, submit):
    pod, _ = submit(
        "sh", "-c", "[ $SLURM_PROCID = 1 ] && exit 9; sleep 60",
        options=["--nodes=2", "--ntasks=2"],
        annotations={"analysis-facility/nodes": "2", "analysis-facility/tasks": "2"},
    )  # fmt: skip
    wait_done(cluster, pod)
    assert pod.done["phase"] == "Failed"
    assert "task 1: Exited with exit code 9" in pod.log()


def test_a_killed_wrapper_is_started_again_by_its_script(cluster, submit):
    pod, _ = submit(
        "python", "-uc", "print(open('runs', 'a').write('x'))\nimport os, time\n"
        "while not os.path.exists('go'): time.sleep(0.05)\nprint(open('runs').read())",
    )  # fmt: skip
    pod.wait_for_log("1")
    pattern = re.compile(rb"offload\.plugins\.node\0" + os.fsencode(pod.folder.path))
    wrappers = [
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if pattern.search(_read(path))
    ]
    assert len(wrappers) == 1
    os.kill(wrappers[0], signal.SIGKILL)
    (pod.folder.volumes / "code" / "go").touch()
    wait_done(cluster, pod)
    assert pod.log() == "1\nx\n"
    assert pod.done["phase"] == "Succeeded"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_it_adds_little_to_slurms_own_turnaround(cluster, submit):
    """No bar here, a figure: ``pytest -rP`` shows it."""
    began = time.time()
    pod, _ = submit("date", "+%s.%N")
    wait_done(cluster, pod)
    first = float(pod.log())
    print(f"submission to first instruction {first - began:.2f} s")
    assert first > began
