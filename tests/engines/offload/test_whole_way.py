"""From `facility submit` to merged outputs, on a real Slurm and on this machine."""

import json

import pytest

pytestmark = pytest.mark.engines


@pytest.mark.parametrize("site", ["here", "cluster"])
def test_what_was_frozen_runs_and_its_outputs_are_merged(shared_home, python, site):
    work = shared_home.work / site
    work.mkdir()
    script = shared_home.work / "script.py"
    script.write_text(
        "import sys, pathlib\n"
        "print('hello from', sys.prefix)\n"
        f"pathlib.Path('{site}/out.txt').write_text(open('{site}/in.txt').read() * 2)\n"
    )
    (work / "in.txt").write_text("frozen ")
    id_ = shared_home.submit(
        "--site", site, "--outputs", f"{site}/out.txt", "--", "python", "script.py",
        python=python,
    )  # fmt: skip
    (work / "in.txt").write_text("edited ")
    shared_home.facility("wait", id_)
    assert (work / "out.txt").read_text() == "frozen frozen "
    assert (work / "in.txt").read_text() == "edited "
    said = f"hello from {python.parents[1]}\n"
    assert shared_home.facility("logs", id_) == said
    job = shared_home.job(id_)
    assert (job["stage"], job["outcome"], job["site"]) == ("done", "succeeded", site)
    stages = ["frozen", "stored", "placed", "transferred", "queued", "running"]
    assert [*job["times"]] == [*stages, "returning", "done"]
    assert sorted(job["times"].values()) == [*job["times"].values()]


def test_a_file_changed_at_both_places_is_kept_twice(shared_home, python):
    result = shared_home.work / "result.txt"
    result.write_text("old")
    id_ = shared_home.submit(
        "--site", "cluster", "--outputs", "*.txt", "--", "sh", "-c",
        "printf theirs >result.txt; printf new >other.txt", python=python,
    )  # fmt: skip
    result.write_text("mine")
    shared_home.facility("wait", id_)
    assert result.read_text() == "mine"
    assert (shared_home.work / f"result.txt.{id_}").read_text() == "theirs"
    assert (shared_home.work / "other.txt").read_text() == "new"


def test_a_program_that_fails_says_so_and_its_files_come_back(shared_home, python):
    id_ = shared_home.submit(
        "--site", "cluster", "--", "sh", "-c", "echo half >half.txt; exit 7",
        python=python,
    )  # fmt: skip
    assert shared_home.run("wait", id_).returncode != 0
    job = shared_home.job(id_)
    assert job["outcome"] == "failed"
    assert (shared_home.jobs / id_ / "outputs/half.txt").read_text() == "half\n"
    assert not (shared_home.work / "half.txt").exists()  # it was not declared


def test_many_equal_jobs_are_an_array_and_none_is_lost(shared_home, python):
    id_ = shared_home.submit(
        "--site", "cluster", "--count", "30", "--memory", "100M", "--outputs",
        "index-*", "--", "sh", "-c",
        "echo $FACILITY_JOB_COUNT >index-$FACILITY_JOB_INDEX", python=python,
    )  # fmt: skip
    shared_home.facility("wait", id_)
    got = {p.name: p.read_text() for p in shared_home.work.glob("index-*")}
    assert got == {f"index-{i}": "30\n" for i in range(30)}


def test_a_job_after_another_starts_when_that_has_succeeded(shared_home, python):
    first = shared_home.submit(
        "--site", "cluster", "--", "sh", "-c", "sleep 1", python=python
    )
    second = shared_home.submit(
        "--site", "here", "--after", first, "--", "true", python=python
    )
    shared_home.facility("wait", second)
    done = shared_home.job(first)["times"]["done"]
    assert shared_home.job(second)["times"]["queued"] >= done


def test_a_slice_is_a_gres_of_the_site(shared_home, python):
    id_ = shared_home.submit(
        "--site", "cluster", "--slice", "1g.5gb", "--outputs", "slices", "--", "sh",
        "-c", "env >slices", python=python,
    )  # fmt: skip
    shared_home.facility("wait", id_)
    variables = (shared_home.work / "slices").read_text().splitlines()
    assert any(v.startswith("CUDA_VISIBLE_DEVICES=") for v in variables)
    refused = shared_home.run(
        "submit", "--site", "cluster", "--slice", "7g.40gb", "--", "true", python=python
    )
    assert refused.returncode == 2
    assert "7g.40gb" in refused.stderr
    assert "1g.5gb" in refused.stderr


def test_cancelled_while_it_runs_it_ends_and_what_it_wrote_comes_back(
    shared_home, python
):
    id_ = shared_home.submit(
        "--site", "cluster", "--", "sh", "-c",
        "echo started >mark; cat mark; sleep 600",
        python=python,
    )  # fmt: skip
    shared_home.eventually(lambda: shared_home.job(id_)["stage"] == "running")
    shared_home.eventually(lambda: shared_home.facility("logs", id_) == "started\n")
    shared_home.facility("cancel", id_)
    assert shared_home.run("wait", id_).returncode != 0
    assert shared_home.job(id_)["outcome"] == "cancelled"
    assert (shared_home.jobs / id_ / "outputs/mark").read_text() == "started\n"


def test_programs_read_what_people_see(shared_home):
    assert isinstance(json.loads(shared_home.facility("jobs", "--json")), list)
    sites = json.loads(shared_home.facility("site", "list", "--json"))
    assert {site["name"] for site in sites} >= {"here", "cluster"}
