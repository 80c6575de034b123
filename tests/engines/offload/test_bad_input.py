"""What a person types wrongly: one line, exit code 2, and nothing is recorded."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from offload.snapshot import LocalStore

pytestmark = pytest.mark.engines

TABLE = {
    "no such site": (["--site", "moon", "--", "true"], ["moon", "here", "cluster"]),
    "no such program": (["--", "./nothing.sh"], ["./nothing.sh: no such file"]),
    "not executable": (["--", "./plain.txt"], ["chmod +x"]),
    "no such notebook": (["nothing.ipynb"], ["nothing.ipynb", "No such file"]),
    "no notebook": (["broken.ipynb"], ["broken.ipynb", "expected a notebook"]),
    "nothing to run": ([], ["nothing to run"]),
    "no such input": (["--input", "gone", "--", "true"], ["gone", "no such file"]),
    "negative time": (["--time=-5m", "--", "true"], ["--time", "-5m"]),
    "absurd time": (["--time", "9999999h", "--", "true"], ["--time"]),
    "negative memory": (["--memory=-1G", "--", "true"], ["--memory", "-1G"]),
    "absurd memory": (["--memory", "9000000P", "--", "true"], ["--memory"]),
    "fewer tasks than nodes": (
        ["--nodes", "3", "--tasks", "2", "--", "true"],
        ["2 tasks", "3 nodes"],
    ),
    "too many": (["--count", "1000000000", "--", "true"], ["--count"]),
    "no such job": (["--after", "4711", "--", "true"], ["4711"]),
    "a slice the site lacks": (
        ["--site", "cluster", "--slice", "7g.40gb", "--", "true"],
        ["7g.40gb", "1g.5gb"],
    ),
    "an environment that is none": (
        ["--environment", "empty", "--", "true"],
        ["--environment empty", "bin/python"],
    ),
    "a credential that is none": (
        ["--with-credential", "password", "--", "true"],
        ["password", "there are: none"],
    ),
}


LIKE_OTHERS = (
    "setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--",
)  # fmt: skip
"""Before a command of root's, which may read every file otherwise."""


def images(home):
    """The snapshots of the store."""
    return LocalStore(home.state / "offload/snapshots").images()


@pytest.fixture(scope="module")
def careless(shared_home, python):
    """A home where one good job was sent."""
    work = shared_home.work
    (work / "plain.txt").write_text("plain")
    (work / "broken.ipynb").write_text("{}")
    (work / "empty").mkdir()
    shared_home.knows("cluster")
    id_ = shared_home.submit(
        "--site", "cluster", "--outputs", "results/**", "--", "true", python=python
    )
    shared_home.facility("wait", id_)
    return shared_home


def test_values(careless, python):
    before = careless.facility("jobs", "--json"), images(careless)

    def submit(case):
        return careless.run("submit", *TABLE[case][0], python=python)

    with ThreadPoolExecutor(2) as pool:
        all_done = dict(zip(TABLE, pool.map(submit, TABLE), strict=True))
    wrong = {}
    for case, done in all_done.items():
        words = TABLE[case][1]
        lines = done.stderr.splitlines()
        is_told = len(lines) == 1 and all(word in lines[0] for word in words)
        if done.returncode != 2 or not is_told or done.stdout:
            wrong[case] = (done.returncode, done.stdout, done.stderr)
    assert wrong == {}
    assert (careless.facility("jobs", "--json"), images(careless)) == before


def test_secrets(careless, python):
    token = "ghp_" + "a1B2c3D4e5F6" * 3
    notes = careless.work / "notes.py"
    notes.write_text(f"x = 1\nTOKEN = '{token}'\n")
    before = careless.facility("jobs", "--json"), images(careless)
    done = careless.run("submit", "--site", "cluster", "--", "true", python=python)
    notes.unlink()
    assert done.returncode == 2
    assert "notes.py:2" in done.stderr
    assert "--allow" in done.stderr
    assert token not in done.stdout + done.stderr
    assert (careless.facility("jobs", "--json"), images(careless)) == before


def test_a_file_that_cannot_be_read(careless, python):
    locked = careless.work / "locked.dat"
    locked.write_text("locked")
    locked.chmod(0)
    before = careless.facility("jobs", "--json"), images(careless)
    done = careless.run("submit", "--", "true", python=python, before=LIKE_OTHERS)
    locked.unlink()
    lines = done.stderr.splitlines()
    assert (done.returncode, len(lines)) == (2, 1), (done.returncode, done.stderr)
    assert "locked.dat" in lines[0]
    assert (careless.facility("jobs", "--json"), images(careless)) == before


def test_a_glob_that_matches_nothing_is_a_warning_on_the_job(careless):
    job = json.loads(careless.facility("jobs", "1", "--json"))
    assert job["outcome"] == "succeeded"
    (element,) = job["elements"]
    warning = "--outputs 'results/**' matched nothing at the end of the job"
    assert warning in element["report"]
    assert warning in careless.facility("jobs", "1")
