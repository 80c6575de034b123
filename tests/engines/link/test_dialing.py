"""A site dials in to a whole facility: real plugin, real endpoint, real jobs."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.engines, pytest.mark.timeout(300)]

FACILITY = Path(sys.executable).parent / "facility"


def until(condition, timeout_s=100.0):
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.05)
    pytest.fail("it never came true")


class Site:
    """A plugin that dials in, as an administrator would start it."""

    def __init__(self, node, facility, port):
        self.node = node
        secrets = next((facility.directory / "state").rglob("link-host-key.pub"))
        known = node.folder / "known_facility"
        known.write_text(f"[127.0.0.1]:{port} {secrets.read_text()}")
        config = node.folder / "site.yaml"
        config.write_text(f"site: far\nwork: {node.folder / 'work'}\n")
        self._words = [sys.executable, "-m", "offload.plugins.main"]
        self._words += ["--config", config, "--dial", f"127.0.0.1:{port}"]
        self._words += ["--key", node.key("site"), "--known-hosts", known]
        self._process = None

    def start(self):
        log = (self.node.folder / "plugin.log").open("ab")
        with log:
            self._process = subprocess.Popen(self._words, stdout=log, stderr=log)

    def kill(self):
        self._process.kill()
        self._process.wait()


@pytest.fixture
def far(node, start_facility, port):
    site = {"name": "far", "keys": [{"key": node.public("site").strip()}]}
    jobs = f"jobs-of-a-test-{os.getpid()}"
    dial_in = {"bind": "127.0.0.1", "port": port}
    facility = start_facility(sites=[site], offload={"dial_in": dial_in, "jobs": jobs})
    site = Site(node, facility, port)
    site.start()
    yield facility, site
    site.kill()
    facility.command("down")
    shutil.rmtree(Path.home() / jobs, ignore_errors=True)


def run(facility, *words, cwd=None):
    """Type a command; return what it prints for programs, whatever its exit code."""
    environment = {**facility.environment, "PATH": "/usr/bin:/bin"}
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX", "FACILITY_OFFLOAD"):
        environment.pop(name, None)
    done = subprocess.run(
        [FACILITY, "-C", facility.directory, *words, "--json"],
        env=environment,
        cwd=cwd,
        stdout=subprocess.PIPE,
        text=True,
        timeout=110,
        check=False,
    )
    return json.loads(done.stdout)


def submit(facility, project):
    words = ["--site", "far", "--outputs", "made.txt", "--json", "python3", "x.py"]
    environment = {**facility.environment, "PATH": "/usr/bin:/bin"}
    environment.pop("VIRTUAL_ENV", None)
    done = subprocess.run(
        [FACILITY, "-C", facility.directory, "submit", *words],
        env=environment,
        cwd=project,
        stdout=subprocess.PIPE,
        text=True,
        timeout=110,
        check=True,
    )
    return json.loads(done.stdout)["id"]


def test_jobs_go_to_a_site_that_dials_in_and_wait_while_it_is_away(far, tmp_path):
    facility, site = far
    assert "link" in facility.pids()
    until(lambda: run(facility, "site", "check", "far").get("state") == "ready")
    project = tmp_path / "project"
    project.mkdir()
    (project / "x.py").write_text("open('made.txt', 'w').write('there')\n")
    first = submit(facility, project)
    assert run(facility, "wait", first, "--timeout", "100")["outcome"] == "succeeded"
    assert (project / "made.txt").read_text() == "there"

    site.kill()
    (project / "made.txt").unlink()
    until(lambda: run(facility, "site", "check", "far").get("state") == "paused")
    second = submit(facility, project)
    waiting = until(lambda: run(facility, "jobs", second)["waiting"])
    assert "far" in waiting
    assert run(facility, "jobs", second)["outcome"] is None
    site.start()
    assert run(facility, "wait", second, "--timeout", "100")["outcome"] == "succeeded"
    assert (project / "made.txt").read_text() == "there"


def test_a_killed_endpoint_is_started_again_and_the_site_comes_back(far):
    facility, _ = far
    until(lambda: run(facility, "site", "check", "far").get("state") == "ready")
    os.kill(facility.pids()["link"], signal.SIGKILL)
    until(facility.is_working)
    until(lambda: run(facility, "site", "check", "far").get("state") == "ready")
