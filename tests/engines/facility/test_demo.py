"""``facility demo`` as ``make demo`` runs it."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from facility.columnar import load
from facility.local.demo_job import PROGRAM
from facility.local.paths import Place
from facility.marked import marked_processes

pytestmark = [pytest.mark.engines, pytest.mark.timeout(600)]

COMMAND = Path(sys.executable).parent / "facility"
NOTEBOOK = Path(__file__).parents[3] / "notebooks" / "dimuon.ipynb"


def demo(out: Path, notebook: Path, **variables: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [COMMAND, "demo", "--out", out, "--notebook", notebook],
        env=os.environ | {"XDG_STATE_HOME": str(out.parent / "state")} | variables,
        capture_output=True,
        text=True,
        timeout=580,
        check=False,
    )


def assert_nothing_left(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(out.parent / "state"))
    storage = Place.of(out / "facility").last_storage()
    assert storage is not None
    assert marked_processes(storage.id) == []
    folder = f"facility-demo-{storage.id.rpartition('-')[2]}"
    assert not (Path.home() / folder).exists()
    assert processes_naming(out) == []


def processes_naming(out: Path) -> list[str]:
    """Command lines with the output folder in them: a site's plugin, or a job."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if str(out) in line:
                found.append(line)
    return found


def test_demo(tmp_path, monkeypatch):
    out = tmp_path / "out"
    done = demo(out, NOTEBOOK, FACILITY_INSTALL_SECONDS="12.5")
    assert done.returncode == 0, done.stderr
    assert_nothing_left(out, monkeypatch)
    assert sorted(p.name for p in out.iterdir()) == [
        "cache",
        "dimuon-batch.json",
        "dimuon.ipynb",
        "dimuon.json",
        "dimuon.png",
        "stages.json",
    ]
    record = json.loads((out / "stages.json").read_text())
    assert record["stages"][0] == {"name": "install", "seconds": 12.5, "note": ""}
    seconds = {s["name"]: s["seconds"] for s in record["stages"]}
    assert seconds["demo in total"] > 12.5 + seconds["notebook in total"]
    assert record["notebook"]["distinct_events"] == 500
    histogram = load(out / "dimuon.json")
    peak = histogram.axes[0].centers[histogram.values().argmax()]
    assert 88 < peak < 94
    assert load(out / "dimuon-batch.json") == histogram
    job = record["job"]
    first, *_, last = job["stages"]
    assert (first, last) == ("frozen", "done")
    assert job["pairs"] == histogram.sum()
    assert job["bars"] in done.stdout
    cells = json.loads((out / "dimuon.ipynb").read_text())["cells"]
    assert all(c["execution_count"] for c in cells if c["cell_type"] == "code")
    assert (out / "dimuon.png").read_bytes().startswith(b"\x89PNG")
    for name in seconds:
        assert name in done.stdout


def test_a_notebook_that_fails_is_one_line_and_nothing_runs_on(tmp_path, monkeypatch):
    document = json.loads(NOTEBOOK.read_text())
    document["cells"] = [
        {
            "cell_type": "code",
            "id": "a",
            "metadata": {},
            "execution_count": None,
            "outputs": [],
            "source": "1 / 0",
        }
    ]
    notebook = tmp_path / "broken.ipynb"
    notebook.write_text(json.dumps(document))
    (tmp_path / PROGRAM).write_text("")
    out = tmp_path / "out"
    done = demo(out, notebook)
    assert done.returncode == 1
    assert done.stderr == (
        "facility: cell 0: ZeroDivisionError: division by zero (logs: "
        f"{out}/facility)\n"
    )
    assert_nothing_left(out, monkeypatch)
    logs = {p.name for p in (out / "facility").rglob("*.log")}
    assert {"hub.log", "gateway.log", "proxy.log", "supervisor.log"} <= logs
    assert "ZeroDivisionError" in (out / "dimuon.ipynb").read_text()


def test_a_job_that_fails_is_one_line_and_nothing_runs_on(tmp_path, monkeypatch):
    notebook = tmp_path / "work" / "dimuon.ipynb"
    notebook.parent.mkdir()
    shutil.copy(NOTEBOOK, notebook)
    (notebook.parent / PROGRAM).write_text("raise SystemExit('no muons today')\n")
    out = tmp_path / "out"
    done = demo(out, notebook)
    assert done.returncode == 1
    assert done.stderr.startswith("facility: the job failed: exit code 1: no muons ")
    assert_nothing_left(out, monkeypatch)


def test_without_its_program_it_says_so_before_anything_starts(tmp_path):
    notebook = tmp_path / "dimuon.ipynb"
    shutil.copy(NOTEBOOK, notebook)
    done = demo(tmp_path / "out", notebook)
    assert done.returncode == 2
    assert done.stderr == (
        f"facility: {tmp_path}/{PROGRAM}: there is no such program; it is the demo's "
        "job\n"
    )
    assert not (tmp_path / "out").exists()


def test_without_a_notebook_it_says_so_before_anything_starts(tmp_path):
    done = demo(tmp_path / "out", tmp_path / "absent.ipynb")
    assert done.returncode == 2
    assert done.stderr == (
        f"facility: {tmp_path}/absent.ipynb: there is no such notebook: give one with "
        "--notebook, or run in a clone of the repository\n"
    )
    assert not (tmp_path / "out").exists()
