"""One person's side of a facility in a folder of its own: ledger, agent, working folder.

``with Home(folder, slurm) as home`` starts an agent whose sites are ``here`` (processes
of this machine) and, given a Slurm, ``cluster``. ``home.facility("jobs")`` is the
command line, as in a terminal of the working folder. All is gone afterwards.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import psutil

from offload.jobs.ledger import Ledger
from offload.jobs.settings import Settings
from tests.engines.slurm.cluster import SlurmCluster

COMMAND_LINE = "from facility.cli import main; main()"


class Home:
    """See the module."""

    def __init__(
        self,
        slurm: SlurmCluster | None = None,
        *,
        store: str | None = None,
        site_work: str | None = None,
        sites: Sequence[Mapping[str, Any]] = (),
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        # Not below pytest's folders: the path of a socket has room for 107 characters.
        self.folder = Path(tempfile.mkdtemp(prefix="home-")).resolve()
        self.work = self.folder / "work"
        self.jobs = self.folder / "jobs"
        self.state = self.folder / "state"
        self.settings = self.folder / "settings.json"
        self._slurm = slurm
        self._store = store
        self._site_work = site_work
        self._sites = sites
        self._more = settings or {}
        self._agents: list[subprocess.Popen[bytes]] = []
        inherited = slurm.environment if slurm is not None else os.environ
        self.environment = {
            **{k: v for k, v in inherited.items() if not k.startswith("FACILITY_")},
            "HOME": str(self.folder),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "XDG_CONFIG_HOME": str(self.folder / "config"),
            "XDG_STATE_HOME": str(self.state),
            "FACILITY_OFFLOAD": str(self.settings),
        }

    def __enter__(self) -> Self:
        for path in (self.work, self.state):
            path.mkdir()
        sites: list[dict[str, Any]] = [{"name": "here"}]
        if self._slurm is not None:
            slices = {"1g.5gb": "gpu:a100_1g.5gb"}
            sites.append({"name": "cluster", "kind": "slurm", "slices": slices})
            sites[-1]["work"] = self._site_work
        sites += map(dict, self._sites)
        self.settings.write_text(
            json.dumps(
                {
                    "facility_id": self.folder.name,
                    "state_dir": str(self.state / "offload"),
                    "sites": sites,
                    "store": self._store,
                    "launcher_socket": str(self.folder / "launcher.sock"),
                    "jobs_dir": str(self.jobs),
                    **self._more,
                }
            )
        )
        (self.state / "offload").mkdir(mode=0o700)
        self.start_agent()
        return self

    def __exit__(self, *_: object) -> None:
        for agent in self._agents:
            if agent.poll() is None:
                agent.terminate()
        for agent in self._agents:
            try:
                agent.wait(10)
            except subprocess.TimeoutExpired:
                agent.kill()
                agent.wait()
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(self.processes(), 10)
        subprocess.run(["chmod", "-R", "u+rwX", self.folder], check=False)
        subprocess.run(["rm", "-rf", self.folder], check=False)

    # processes

    def start_agent(self) -> None:
        with (self.folder / "agent.log").open("ab") as log:
            self._agents.append(
                subprocess.Popen(
                    [sys.executable, "-m", "offload.jobs.agent"],
                    env=self.environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )

    def kill_agent(self) -> None:
        """Kill -9 whoever is the agent now."""
        agent = self._agents[-1]
        agent.kill()
        agent.wait()

    def processes(self) -> list[psutil.Process]:
        """Whatever runs with this home, but for Slurm's own."""
        mark = str(self.folder)
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("HOME", "").startswith(mark) or any(
                    mark in word for word in process.cmdline()
                ):
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return [p for p in found if p.pid != os.getpid()]

    # using it

    def start(
        self,
        *arguments: str,
        python: Path | None = None,
        folder: Path | None = None,
        as_bytes: bool = False,
    ) -> subprocess.Popen[Any]:
        """Type ``facility ...`` and do not wait; see :meth:`run`."""
        return subprocess.Popen(
            [sys.executable, "-c", COMMAND_LINE, *arguments],
            env=self._environment(python),
            cwd=folder or self.work,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=not as_bytes,
        )

    def run(
        self,
        *arguments: str,
        python: Path | None = None,
        folder: Path | None = None,
        timeout_s: float = 200,
        as_bytes: bool = False,
        before: Sequence[str] = (),
    ) -> subprocess.CompletedProcess[Any]:
        """Type ``facility ...`` in the working folder; a venv's Python comes first."""
        return subprocess.run(
            [*before, sys.executable, "-c", COMMAND_LINE, *arguments],
            env=self._environment(python),
            cwd=folder or self.work,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=not as_bytes,
            timeout=timeout_s,
            check=False,
        )

    def _environment(self, python: Path | None) -> dict[str, str]:
        if python is None:
            return self.environment
        path = f"{python.parent}:{self.environment['PATH']}"
        return self.environment | {"PATH": path}

    def facility(self, *arguments: str, **options: Any) -> str:
        """As :meth:`run`; what it printed, and it must have worked."""
        done = self.run(*arguments, **options)
        if done.returncode != 0:
            raise AssertionError(
                f"facility {arguments}: exit code {done.returncode}\n{done.stdout}"
                f"{done.stderr}{self.logs()}"
            )
        return done.stdout

    def submit(self, *arguments: str, **options: Any) -> str:
        """Submit and return the id."""
        return str(
            json.loads(self.facility("submit", "--json", *arguments, **options))["id"]
        )

    def job(self, name: str) -> dict[str, Any]:
        """What ``facility jobs --json`` says of one."""
        jobs = json.loads(self.facility("jobs", "--json"))
        return next(job for job in jobs if job["id"] == name)

    def eventually(self, question: Any, timeout_s: float = 100) -> Any:
        """Ask until the answer is true; return it."""
        deadline = time.monotonic() + timeout_s
        while not (answer := question()):
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {timeout_s} s{self.logs()}")
            time.sleep(0.05)
        return answer

    def knows(self, site: str) -> None:
        """Have the agent, once it is there, find out what a site has."""
        self.eventually(lambda: self.run("site", "check", site).returncode == 0)

    def all_forgotten(self) -> None:
        """Wait until nothing is left to be done, at the sites neither."""
        ledger = Ledger(Settings.load(self.settings).ledger)
        try:
            self.eventually(lambda: not ledger.open_jobs())
        finally:
            ledger.close()

    def pods(self, site: str) -> list[Path]:
        """Folders of pods at a site."""
        return [*(self.state / "offload/sites" / site / "work/pods").iterdir()]

    def logs(self) -> str:
        """The ends of the logs of agent and plugins."""
        files = [
            self.folder / "agent.log",
            *self.state.glob("offload/sites/*/plugin.log"),
        ]
        return "".join(
            f"\n== {p}\n{p.read_text(errors='replace')[-3000:]}"
            for p in files
            if p.exists()
        )
