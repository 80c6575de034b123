import multiprocessing

import pytest

from offload.plugins.node.claim import (
    Claim,
    Claimed,
    lock,
    read_claim,
    take,
    this_allocation,
)
from offload.plugins.node.folder import PodFolder


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "pods" / "uid"
    path.mkdir(parents=True)
    return PodFolder(path)


def claim(job="slurm:7", attempt=0, began=1.0):
    return Claim(job, attempt, began, "n1")


def test_first_claim_holds_and_says_since_when(folder):
    assert take(folder, claim())[1] is Claimed.FIRST
    assert read_claim(folder) == claim()


@pytest.mark.parametrize(
    ("second", "outcome"),
    [
        (claim(), Claimed.AGAIN),
        (claim(attempt=1), Claimed.REQUEUED),
        (claim(job="slurm:8"), Claimed.TAKEN),
        (claim(job="slurm:8", attempt=3), Claimed.TAKEN),
        (claim(job="boot:x"), Claimed.TAKEN),
    ],
)
def test_what_a_second_claim_means(folder, second, outcome):
    take(folder, claim(began=5.0))
    now, found = take(folder, second)
    assert found is outcome
    if outcome is Claimed.AGAIN:
        assert now.began == 5.0, "the attempt began when it was first claimed"
    if outcome is Claimed.REQUEUED:
        assert read_claim(folder) == second


def test_an_older_attempt_does_not_get_it_back(folder):
    take(folder, claim())
    take(folder, claim(attempt=1))
    assert take(folder, claim())[1] is Claimed.TAKEN


def _try_to_take(path, number, queue):
    folder = PodFolder(path)
    queue.put(take(folder, claim(job=f"slurm:{number}"))[1] is Claimed.FIRST)


def test_of_many_at_once_one_gets_it(folder):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    tries = [
        context.Process(target=_try_to_take, args=(folder.path, n, queue))
        for n in range(4)
    ]
    for each in tries:
        each.start()
    results = [queue.get(timeout=30) for _ in tries]
    for each in tries:
        each.join()
    assert sorted(results) == [False, False, False, True]
    assert [p.name for p in folder.path.iterdir()] == ["claim"], "no drafts stay"


def test_slurm_names_the_allocation():
    got = this_allocation(
        {"SLURM_JOB_ID": "12", "SLURM_RESTART_COUNT": "2", "SLURMD_NODENAME": "n3"}
    )
    assert (got.allocation, got.attempt, got.node) == ("slurm:12", 2, "n3")


def test_without_slurm_it_is_this_boot():
    got = this_allocation({"SLURM_RESTART_COUNT": "2"})
    assert got.allocation.startswith("boot:")
    assert got.attempt == 0
    assert this_allocation({}).is_same(got)


def test_one_wrapper_at_a_time(folder):
    assert lock(folder.lock) is not None
    assert lock(folder.lock) is None
