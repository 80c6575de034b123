"""Whole facilities, started by the command as a person would start them."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from facility.client.hub_session import HubSession
from facility.local.paths import Place
from facility.marked import marked_processes
from facility.runtime import Runtime

COMMAND = Path(sys.executable).parent / "facility"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    """In CI an engine that is missing is a failure: there, nothing is skipped."""
    report = yield
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"
    return report


class RunningFacility:
    """A facility in a directory of its own, with state of its own."""

    def __init__(self, directory: Path, **keys: object) -> None:
        self.directory = directory
        (directory / "facility.yaml").write_text(yaml.safe_dump(keys))
        self.environment = {**os.environ, "XDG_STATE_HOME": str(directory / "state")}
        # Left by a run that was killed, whose directory had the same name.
        key = Place.of(directory).key
        for base in ("/var/lib", Path.home() / ".local/state"):
            for path in Path(base).glob(f"analysis-facility/*-{key}"):
                shutil.rmtree(path)

    def command(self, *arguments: str, expect: int = 0) -> str:
        done = subprocess.run(
            [COMMAND, "-C", self.directory, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=200,  # `up` gives up by itself before
            check=False,
        )
        assert done.returncode == expect, done.stderr + self.logs()
        return done.stdout

    def up(self) -> None:
        self.command("up", "--json")
        places = (self.directory / "state").rglob("run/facility.json")
        self.runtime = Runtime.load(next(places))

    def logs(self) -> str:
        logs = sorted((self.directory / "state").rglob("*.log"))
        return "\n".join(f"== {p.name}\n{p.read_text()[-3000:]}" for p in logs)

    def status(self) -> dict:
        return json.loads(self.command("status", "--json"))

    def pids(self) -> dict[str, int]:
        return {row["name"]: row["pid"] for row in self.status()["processes"]}

    def is_working(self) -> bool:
        """Whether all processes are ready and answer."""
        status = self.status()
        states = {row["state"] for row in status["processes"]}
        with contextlib.suppress(httpx.HTTPError):
            urls = [
                f"{self.runtime.public_url}/hub/api/",
                f"{self.runtime.public_url}{self.runtime.gateway_prefix}/api/health",
            ]
            answers = [httpx.get(url).status_code for url in urls]
            return states == {"ready"} and answers == [200, 200]
        return False

    def clusters(self) -> list[Path]:
        """Folders of clusters that have a living process or unremoved secrets."""
        base = self.runtime.clusters_dir
        return [p for p in base.glob("*") if (p / "claims").exists()]

    async def token(self, user: str | None = None) -> str:
        """Return an API token of the user, got as he would get it."""
        arguments = [] if user is None else ["--user", user]
        link = json.loads(self.command("token", *arguments, "--json"))["login"]
        async with HubSession.login(link) as session:
            answer = await session._client.post(
                session._path("tokens"), json={"note": "test", "expires_in": 3600}
            )
            return answer.json()["token"]

    def close(self) -> None:
        self.command("down")
        for path in (self.directory / "state").glob("analysis-facility/*/log"):
            assert marked_processes(path.parent.name) == []


def wait_until(condition: Callable[[], object], timeout_s: float, what: str) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def start_facility(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[..., RunningFacility]]:
    with contextlib.ExitStack() as stack:

        def start(**keys: object) -> RunningFacility:
            directory = tmp_path_factory.mktemp("facility")
            directory.chmod(0o755)
            facility = RunningFacility(directory, **keys)
            stack.callback(facility.close)
            facility.up()
            return facility

        yield start


@pytest.fixture(scope="session")
def change_accounts() -> Callable[..., None]:
    """Return what runs ``useradd`` or ``userdel``, again for a while if it must wait."""

    def change(*command: str) -> None:
        end = time.monotonic() + 60
        while True:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode == 0:
                return
            # Somebody else is changing accounts; a process that ended is still listed.
            assert done.returncode in {1, 8}, done.stderr
            assert time.monotonic() < end, done.stderr
            time.sleep(0.5)

    return change


@pytest.fixture
def eventually():
    return wait_until


@pytest.fixture
def kill():
    return lambda pid: os.kill(pid, signal.SIGKILL)
