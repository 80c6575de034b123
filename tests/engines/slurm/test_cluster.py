"""The Slurm that other tests rely on."""

import os

import pytest

pytestmark = pytest.mark.engines


def test_jobs_run_on_private_nodes(slurm):
    output = slurm.folder / "answer"
    slurm.run(
        "sbatch", "--wait", "--gres=gpu:a100_1g.5gb:2", f"--output={output}",
        "--wrap", "echo $SLURMD_NODENAME $CUDA_VISIBLE_DEVICES",
    )  # fmt: skip
    node, devices = output.read_text().split()
    assert node in slurm.nodes
    assert len(devices.split(",")) == 2


@pytest.mark.skipif(os.getuid() != 0, reason="only root has several users")
def test_an_ordinary_user_runs_his_own(start_slurm):
    slurm = start_slurm(nodes=1, user="nobody")
    output = slurm.folder / "answer"
    slurm.run("sbatch", "--wait", f"--output={output}", "--wrap", "id -un")
    assert output.read_text() == "nobody\n"


def test_a_killed_node_takes_its_jobs_along(start_slurm):
    slurm = start_slurm(nodes=1)
    slurm.run("sbatch", "--no-requeue", "--wrap", "sleep 100")
    slurm.wait(lambda: slurm.run("squeue", "-h", "-o%T") == "RUNNING\n", 60, "runs")
    slurm.kill_node(slurm.nodes[0])
    assert slurm.processes("SLURM_JOB_ID=1") == []
    slurm.run("scontrol", "update", f"node={slurm.nodes[0]}", "state=down", "reason=x")
    slurm.wait(lambda: slurm.jobs() == [], 60, "the job is over")
    assert "NODE_FAIL" in slurm.run("squeue", "-h", "--states=all", "-o%T")


def test_history_and_limits_with_a_database(start_slurm):
    slurm = start_slurm(nodes=1, database=True)
    slurm.run("sacctmgr", "-i", "modify", "user", slurm.user, "set", "maxsubmitjobs=1")
    slurm.run("sbatch", "--comment=words", "--wrap", "true")
    slurm.wait(
        lambda: "COMPLETED|words" in slurm.run("sacct", "-XPn", "-ostate,comment"),
        60, "the accounts have it",
    )  # fmt: skip
    slurm.run("sbatch", "--hold", "--wrap", "true")
    with pytest.raises(AssertionError, match="AssocMaxSubmitJobLimit"):
        slurm.run("sbatch", "--hold", "--wrap", "true")


def test_nothing_stays(start_slurm):
    slurm = start_slurm(nodes=2)
    slurm.run("sbatch", "--wrap", "setsid sleep 100")
    slurm.wait(lambda: slurm.processes("SLURM_JOB_ID=1"), 60, "it runs")
    slurm.stop()
    assert not slurm.folder.exists()
    assert slurm.processes() == []
