"""Tasks of one job over several nodes: all see its files, and all leave theirs."""

import pytest

pytestmark = pytest.mark.engines


def test_ranks_over_nodes(shared_home, python):
    (shared_home.work / "in.txt").write_text("frozen")
    id_ = shared_home.submit(
        "--site", "cluster", "--nodes", "2", "--tasks", "4", "--memory", "200M",
        "--outputs", "rank-*", "--", "sh", "-c",
        'echo "$SLURM_NTASKS $SLURMD_NODENAME $(cat in.txt)" >rank-$SLURM_PROCID',
        python=python,
    )  # fmt: skip
    shared_home.facility("wait", id_)
    ranks = {
        p.name: p.read_text().split() for p in sorted(shared_home.work.glob("rank-*"))
    }
    assert list(ranks) == [f"rank-{i}" for i in range(4)]
    assert {(tasks, text) for tasks, _, text in ranks.values()} == {("4", "frozen")}
    assert len({node for _, node, _ in ranks.values()}) == 2


def test_one_task_that_fails_ends_all(shared_home, python):
    id_ = shared_home.submit(
        "--site", "cluster", "--nodes", "2", "--", "sh", "-c",
        "[ $SLURM_PROCID = 1 ] && exit 5; sleep 600", python=python,
    )  # fmt: skip
    assert shared_home.run("wait", id_).returncode not in {0, 2}
    job = shared_home.job(id_)
    assert job["outcome"] == "failed", job


def test_more_nodes_than_one_machine_is_refused(shared_home, python):
    shared_home.knows("here")
    done = shared_home.run(
        "submit", "--site", "here", "--nodes", "2", "--", "true", python=python
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "is one machine, 2 nodes were asked for" in line
