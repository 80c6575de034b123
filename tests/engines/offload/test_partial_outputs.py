"""A job that was ended from outside: what it had written comes back."""

import pytest

pytestmark = pytest.mark.engines

HALF = "echo half >half.txt; mkdir deep; echo more >deep/more.txt; "


def assert_came_back(home, id_, outcome):
    assert home.run("wait", id_).returncode not in {0, 2}
    job = home.job(id_)
    assert job["outcome"] == outcome, (job, home.logs())
    outputs = home.jobs / id_ / "outputs"
    assert (outputs / "half.txt").read_text() == "half\n"
    assert (outputs / "deep/more.txt").read_text() == "more\n"
    assert home.facility("logs", id_) == "begun\n"


@pytest.mark.parametrize("site", ["here", "cluster"])
def test_after_its_time(shared_home, python, site):
    id_ = shared_home.submit(
        "--site", site, "--time", "5s", "--", "sh", "-c",
        f"echo begun; {HALF} sleep 600", python=python,
    )  # fmt: skip
    assert_came_back(shared_home, id_, "timed_out")


def test_that_ignores_being_cancelled(shared_home, python):
    id_ = shared_home.submit(
        "--site", "cluster", "--", "sh", "-c",
        f"trap '' TERM; {HALF} echo begun; exec sleep 600", python=python,
    )  # fmt: skip
    shared_home.eventually(lambda: shared_home.facility("logs", id_) == "begun\n")
    shared_home.facility("cancel", id_)
    assert_came_back(shared_home, id_, "cancelled")


def test_out_of_memory(start_slurm, start_home, python):
    slurm = start_slurm(nodes=1, cgroups=True)
    if not slurm.has_cgroups:
        pytest.skip("memory is limited only by root, with control groups")
    home = start_home(slurm)
    id_ = home.submit(
        "--site", "cluster", "--memory", "150M", "--", "sh", "-c",
        f"echo begun; {HALF} exec python -c 'x = bytearray(10**9)'", python=python,
    )  # fmt: skip
    assert_came_back(home, id_, "out_of_memory")
