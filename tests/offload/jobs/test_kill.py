"""kill -9 of the agent at every step: one execution per UID, outputs landed once."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from offload.jobs.stages import Stage

DRIVER = Path(__file__).with_name("killing.py")


@pytest.mark.parametrize(
    ("first", "step"),
    [
        (3, 11),
        pytest.param(1, 1, marks=[pytest.mark.engines, pytest.mark.timeout(600)]),
    ],
    ids=["sample", "all"],
)
def test_an_agent_killed_at_any_step_is_followed_by_one_that_ends_the_same(
    far, site, project, pack, frozen, tmp_path, first, step
) -> None:
    pack({"results/mass.txt": "91.2"})
    site.behave(run_s=0.05)
    file = tmp_path / "offload.json"
    far.model_copy(update={"idle_timeout_s": 0.1}).save(file)
    command = [sys.executable, str(DRIVER), str(file), str(project), frozen.image]
    done = subprocess.run(
        [*command, str(first), str(step)],
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    points = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(points) > 40 / step, "most of the steps come after the first kill"
    created = Counter(site.effects("created"))
    deleted = set(site.effects("deleted"))
    for point in points:
        assert (point["outcome"], point["is_open"]) == ("succeeded", False), point
        assert point["stages"] == list(Stage), point
        assert created[point["uid"]] == 1, point
        assert point["uid"] in deleted, point
        folder = far.jobs_dir / str(point["job"])
        assert (folder / "outputs/results/mass.txt").read_text() == "91.2", point
        assert (folder / "logs/main.log").read_text().startswith("hello"), point
        assert (folder / "job.json").exists(), point
        left = {p.name for p in folder.iterdir()}
        assert left <= {"outputs", "logs", "job.json", "landed.json", "report.json"}
    assert [p.name for p in (project / "results").iterdir()] == ["mass.txt"]
    blobs = site.effects("blob_complete")
    assert len(blobs) == len(set(blobs))
