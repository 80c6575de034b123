"""Launcher, agents and plugins as a facility starts them, for one person or several."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil
import pytest

from facility.spec import Site
from offload.jobs import queries
from offload.jobs.settings import Settings
from offload.jobs.specification import job_spec
from offload.jobs.submission import submit
from offload.jobs.unix_sockets import listener
from offload.snapshot import LocalStore, Request, freeze
from tests.engines.registry.conftest import running
from tests.engines.slurm.conftest import slurm

__all__ = ["running", "slurm"]

SCRIPT = """\
import os, sys, time, pathlib, socket
pathlib.Path("results").mkdir(exist_ok=True)
pathlib.Path("results/first.txt").write_text(sys.argv[1])
print("begun", flush=True)
# The one thing that leaves a job at once: whoever counts executions listens there, and
# may end the job as soon as he has heard.
with socket.create_connection(("127.0.0.1", int(os.environ["RUNS"]))) as runs:
    runs.sendall(os.environ["FACILITY_JOB_ID"].encode())
time.sleep(float(sys.argv[1]))
pathlib.Path("results/last.txt").write_text(sys.argv[1])
print("ended", flush=True)
"""


class Runs:
    """Hears of each execution of a job's script."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            with connection:
                text = connection.makefile().read()
            if text == "enough":
                return
            self.heard.append(text)

    def close(self) -> None:
        with socket.create_connection(("127.0.0.1", self.port)) as last:
            last.sendall(b"enough")
        self._thread.join()
        self._socket.close()


class Facility:
    """What a person, and whoever runs the facility, do."""

    def __init__(self, folder: Path, environment, site: Site, store) -> None:
        self.folder = folder
        self.root = folder / "project"
        self.root.mkdir()
        (self.root / "work.py").write_text(SCRIPT)
        self.runs = Runs()
        self.settings = Settings(
            facility_id=folder.name,
            state_dir=folder / "state",
            sites=(site,),
            store=store,
            launcher_socket=folder / "agents.sock",
            jobs_dir=folder / "jobs",
        )
        self.file = folder / "offload.json"
        self.settings.save(self.file)
        self.environment = environment | {
            "HOME": str(folder),
            "XDG_STATE_HOME": str(folder / "xdg"),
            "FACILITY_OFFLOAD": str(self.file),
            "FACILITY_ID": folder.name,
        }

    def up(self) -> None:
        with (self.folder / "agents.log").open("ab") as log:
            self.launcher = subprocess.Popen(
                [sys.executable, "-m", "offload.jobs.launcher"],
                env=self.environment,
                stdout=log,
                stderr=log,
            )
        wait(self.settings.launcher_socket.exists)

    def down(self) -> None:
        self.launcher.terminate()
        assert self.launcher.wait(60) == 0

    def submit(self, seconds: float, **values: object) -> str:
        spec = job_spec(
            **{
                "command": ("/usr/bin/python3", "work.py", str(seconds)),
                "root": str(self.root),
                "cwd": str(self.root),
                "outputs": ("results/**",),
                "environment": {"RUNS": str(self.runs.port)},
            }
            | values
        )
        store = LocalStore(self.settings.snapshots)
        return str(submit(freeze(Request(self.root), store), spec, self.settings))

    def ran(self, id_: str) -> int:
        return self.runs.heard.count(id_)

    def begun(self, id_: str) -> None:
        wait(lambda: self.ran(id_) == 1)

    def done(self, id_: str):
        return queries.wait(self.settings, id_, timeout_s=100)

    def agent(self):
        return listener(self.settings.agent_socket, uid=os.geteuid())

    def plugin(self, site: str):
        socket = self.settings.sites_dir / site / "plugin.sock"
        return listener(socket, uid=os.geteuid())

    def close(self) -> None:
        if self.launcher.poll() is None:
            self.down()
        self.runs.close()
        end = time.monotonic() + 10  # what has done its work may be ending
        while (left := self._left()) and time.monotonic() < end:
            time.sleep(0.05)
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, 10)
        subprocess.run(["rm", "-rf", self.folder], check=False)
        assert [*left.values()] == []

    def _left(self) -> dict[psutil.Process, list[str]]:
        """Return our living processes, with their command lines."""
        found = {}
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                mine = process.environ().get("HOME") == str(self.folder)
                if mine and process.status() != psutil.STATUS_ZOMBIE:
                    found[process] = process.cmdline()
        return found

    def log(self) -> str:
        return (self.folder / "agents.log").read_text()


def wait(condition, timeout_s: float = 60.0):
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.05)
    return found


@pytest.fixture
def until():
    return wait


@pytest.fixture
def store_url():
    """No registry: snapshots stay in the person's folder."""
    return


@pytest.fixture
def facility(request, store_url):
    """One person's; with the parameter ``slurm`` its site is a cluster."""
    kind = getattr(request, "param", "process")
    environment = dict(os.environ)
    site = Site(name="here")
    # Not below pytest's folders: socket addresses are short.
    folder = Path(tempfile.mkdtemp(prefix="jobs-")).resolve()
    if kind == "slurm":
        cluster = request.getfixturevalue("slurm")
        environment = dict(cluster.environment)
        config = folder / "cluster.yaml"
        config.write_text(
            json.dumps({"executor": "slurm", "site": "here", "slurm": {"tick": 1}})
        )
        site = Site(name="here", kind="slurm", config=str(config))
    found = Facility(folder, environment, site, store_url)
    found.up()
    try:
        yield found
    finally:
        found.close()
