"""Sites behind a real squid: each object leaves the origin once, or not at all."""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.engines

JOBS = 16

JOB = """
import json, sys
from pathlib import Path
from offload.cache.reading import RepositoryCache, RepositorySettings
settings = RepositorySettings.model_validate(json.loads(sys.argv[2]))
with RepositoryCache(Path(sys.argv[1]), settings) as cache:
    print("ready", flush=True)
    sys.stdin.readline()
    tree = cache.image(sys.argv[3])
    print(sum(path.stat().st_size for path in tree.rglob("*.py")), flush=True)
"""


def run_together(folders, settings, image):
    """Start a job per folder; all begin at the same moment; return what they print."""
    document = json.dumps(settings.model_dump(mode="json"))
    jobs = [
        subprocess.Popen(
            [sys.executable, "-c", JOB, folder, document, image],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for folder in folders
    ]
    for job in jobs:
        assert job.stdout.readline() == b"ready\n"
    for job in jobs:
        job.stdin.write(b"\n")
        job.stdin.flush()
    return {int(job.communicate(timeout=100)[0]) for job in jobs}


@pytest.fixture
def size(items):
    return sum(item.size for item in items if item.path.endswith(b".py"))


def test_cold_jobs_of_one_site_fetch_each_object_once(
    tmp_path, origin, settings, image, size
):
    printed = run_together([tmp_path / "site"] * JOBS, settings, image)
    assert printed == {size}
    assert len(origin.objects()) > 400
    assert set(origin.objects().values()) == {1}


def test_cold_nodes_behind_one_squid_fetch_each_object_once(
    tmp_path, origin, settings, image, size
):
    folders = [tmp_path / f"node-{n}" for n in range(4)]
    assert run_together(folders * 4, settings, image) == {size}
    assert len(origin.objects()) > 400
    assert set(origin.objects().values()) == {1}


def test_a_job_starts_with_origin_and_squid_down(
    tmp_path, origin, settings, image, size
):
    assert run_together([tmp_path / "site"], settings, image) == {size}
    dead = settings.model_copy(
        update={"urls": ("http://127.0.0.1:9",), "proxies": ("http://127.0.0.1:9",)}
    )
    assert run_together([tmp_path / "site"] * 3, dead, image) == {size}
