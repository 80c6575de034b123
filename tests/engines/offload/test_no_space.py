"""No room left, at home and at the site: said in words, and gone on when there is."""

import os

import pytest

pytestmark = pytest.mark.engines

LARGE = 6_000_000


def waits(home, id_, *words):
    """Wait until the job says that it waits, in these words."""

    def waiting():
        said = home.job(id_)["waiting"] or ""
        return all(word in said for word in words)

    home.eventually(waiting)


def test_of_the_store_of_snapshots(start_home, python, tiny):
    home = start_home()
    store = home.state / "offload/snapshots"
    tiny(store, "4m")
    data = os.urandom(LARGE)
    (home.work / "large").write_bytes(data)
    words = [
        "submit",
        "--site",
        "here",
        "--outputs",
        "back",
        "--",
        "cp",
        "large",
        "back",
    ]
    refused = home.run(*words, python=python)
    (line,) = refused.stderr.splitlines()
    assert refused.returncode == 2, line
    assert "no space" in line
    assert str(store) in line
    assert home.facility("jobs", "--json").strip() == "[]"
    left = sum(p.stat().st_size for p in store.rglob("*") if p.is_file())
    assert left < LARGE // 6  # its tables, but nothing half-done
    tiny(store, "64m")
    id_ = home.submit(*words[1:], python=python)
    home.facility("wait", id_)
    assert (home.work / "back").read_bytes() == data


def test_of_the_sites_work_area(slurm, start_home, python, tiny, tmp_path):
    area = tmp_path / "area"
    tiny(area, "4m")
    home = start_home(slurm, site_work=str(area))
    data = os.urandom(LARGE)
    (home.work / "large").write_bytes(data)
    id_ = home.submit(
        "--site", "cluster", "--outputs", "back", "--", "cp", "large", "back",
        python=python,
    )  # fmt: skip
    waits(home, id_, "site cluster has no room")
    assert home.job(id_)["stage"] == "placed"
    tiny(area, "100m")
    home.facility("wait", id_)
    assert (home.work / "back").read_bytes() == data


def test_of_the_folder_of_jobs(slurm, start_home, python, tiny):
    home = start_home(slurm)
    tiny(home.jobs, "2m")
    id_ = home.submit(
        "--site", "cluster", "--outputs", "back", "--", "sh", "-c",
        f"head -c {LARGE} /dev/urandom >back; sha256sum back", python=python,
    )  # fmt: skip
    waits(home, id_, "no space", str(home.jobs))
    assert home.job(id_)["stage"] == "returning"
    assert not (home.work / "back").exists()
    tiny(home.jobs, "64m")
    home.facility("wait", id_)
    assert (home.work / "back").stat().st_size == LARGE
    names = {p.name for p in (home.jobs / id_).iterdir()}
    assert not any(name.endswith((".part", ".zst")) for name in names), names
