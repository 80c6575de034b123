"""Jobs that are carried while who carries them is killed, again and again.

Each run is a job with a kill -9 meant for it: of the agent, of the site's plugin or of
the job's wrapper on the compute node, once the job has reached a step and some time has
passed. Several are in flight, so each of them meets the kills of others, too.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from offload.jobs.ledger import Ledger
from offload.jobs.model import Job
from offload.jobs.settings import Settings
from offload.jobs.stages import ORDER
from tests.engines.offload.home import Home
from tests.engines.offload.witness import Witness
from tests.engines.slurm.cluster import SlurmCluster

FILES = 8
FILE_BYTES = 100_000
RUN_S = 120.0
"""No job may take longer, whatever happens to it."""

WRAPPER_STEPS = {
    "the wrapper is there": lambda pod: True,
    "the program has started": lambda pod: any(pod.glob("run/*/main.*/started")),
    "the program has ended": lambda pod: any(pod.glob("run/*/main.*/exit.json")),
}


@dataclass(frozen=True, slots=True)
class Kill:
    """What is killed, and when."""

    victim: str
    """``agent``, ``plugin`` or ``wrapper``."""
    step: str
    """A stage of the job, or one of :data:`WRAPPER_STEPS`."""
    delay_s: float = 0.0

    @classmethod
    def at_random(cls, chance: random.Random) -> Kill:
        victim = chance.choice(["agent", "plugin", "wrapper"])
        if victim == "wrapper":
            return cls(victim, chance.choice([*WRAPPER_STEPS]), chance.uniform(0, 1))
        # The last stage, too: then the site is told to forget the job.
        step = chance.choice([stage.value for stage in ORDER])
        return cls(victim, step, chance.choice([0, 0, chance.uniform(0, 2)]))


@dataclass(slots=True)
class Run:
    name: str
    kill: Kill
    began: float
    command: subprocess.Popen[str]
    reached: float | None = None
    killed_at: str = ""
    """Stage at which it was killed in fact; empty if nothing was there to be killed."""


@dataclass(slots=True)
class Runs:
    """See the module; ``carry`` and then look at ``kills``."""

    home: Home
    slurm: SlurmCluster
    witness: Witness
    python: Path
    kills: Counter[str] = field(default_factory=Counter)
    """How often each was killed, as ``victim, stage of the job``."""
    done: int = 0
    kill = Kill

    def carry(
        self,
        kills: Iterable[Kill],
        *,
        at_once: int = 3,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Carry one job for each kill to its end, and check each.

        Raises:
            AssertionError: a job did not run exactly once, or not all came back, or
                something of it is left.
        """
        waiting = list(kills)[::-1]
        flying: list[Run] = []
        ledger = Ledger(Settings.load(self.home.settings).ledger)
        try:
            while waiting or flying:
                if waiting and len(flying) < at_once:
                    flying.append(self._submit(waiting.pop()))
                jobs = {job.spec.name: job for job in ledger.jobs(limit=3 * at_once)}
                for run in list(flying):
                    job = jobs.get(run.name)
                    if job is None:
                        assert time.monotonic() - run.began < RUN_S, run
                        continue
                    self._kill_in_time(run, job, ledger)
                    # The wrapper of a job that has ended is not there any more.
                    is_settled = run.killed_at or run.kill.victim != "agent"
                    if job.is_done and is_settled:
                        self._check(run, job)
                        flying.remove(run)
                        tell(f"{self.done} {run.kill} at {run.killed_at or 'no'} stage")
                    else:
                        assert time.monotonic() - run.began < RUN_S, (
                            f"{run}: {job}{self.home.logs()}"
                        )
                time.sleep(0.005)
        finally:
            ledger.close()
        self.home.all_forgotten()
        self._nothing_is_left()

    def _submit(self, kill: Kill) -> Run:
        name = f"run-{uuid4().hex[:12]}"
        script = self.home.work / "program.py"
        if not script.exists():
            script.write_text(_PROGRAM)
        (self.home.work / "frozen.txt").write_text("frozen")
        words = [
            "submit", "--site", "cluster", "--memory", "100M", "--name", name,
            "--outputs", f"results/{name}/*", "--", "python", "-c",
            self.witness.says(name) + f"name = {name!r}\nexec(open('program.py').read())",
        ]  # fmt: skip
        return Run(
            name, kill, time.monotonic(), self.home.start(*words, python=self.python)
        )

    def _kill_in_time(self, run: Run, job: Job, ledger: Ledger) -> None:
        kill = run.kill
        if run.killed_at:
            return
        if run.reached is None and self._has_reached(kill, job, ledger):
            run.reached = time.monotonic()
        if run.reached is None or time.monotonic() < run.reached + kill.delay_s:
            return
        if self._kill(kill.victim, job, ledger):
            run.killed_at = job.stage.value
            self.kills[f"{kill.victim}, {job.stage}"] += 1

    def _has_reached(self, kill: Kill, job: Job, ledger: Ledger) -> bool:
        if kill.step in WRAPPER_STEPS:
            pod = self._pod(job, ledger)
            return _wrapper(pod) is not None and WRAPPER_STEPS[kill.step](pod)
        return ORDER.index(job.stage) >= ORDER.index(kill.step)

    def _kill(self, victim: str, job: Job, ledger: Ledger) -> bool:
        if victim == "agent":
            self.home.kill_agent()
            self.home.start_agent()
            return True
        if victim == "plugin":
            pid = _find("offload.plugins.main", f"{self.home.folder}/", "/cluster/")
        else:
            pid = _wrapper(self._pod(job, ledger))
        if pid is None:
            return False
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            return True
        return False

    def _pod(self, job: Job, ledger: Ledger) -> Path:
        (element,) = ledger.job(job.id, with_elements=True).elements
        sites = Settings.load(self.home.settings).sites_dir
        return sites / "cluster/work/pods" / element.uid

    # what must be true of every run

    def _check(self, run: Run, job: Job) -> None:
        _, errors = run.command.communicate(timeout=60)
        assert run.command.returncode == 0, errors
        where = f"{run}\n{job}{self.home.logs()}"
        assert job.outcome == "succeeded", where
        assert self.witness.count(run.name) == 1, where
        folder = Path("results") / run.name
        for root in (self.home.work, self.home.jobs / str(job.id) / "outputs"):
            got = {p.name: p.read_bytes() for p in (root / folder).iterdir()}
            assert got.keys() == {f"{i}.bin" for i in range(FILES)}, where
            assert all(got[f"{i}.bin"] == content(run.name, i) for i in range(FILES))
        log = self.home.jobs / str(job.id) / "logs/main.log"
        assert log.read_text() == f"{run.name} ran, frozen\n", where
        self.done += 1

    def _nothing_is_left(self) -> None:
        def strangers() -> list[str]:
            ours = ("offload.jobs.agent", "offload.plugins.main")
            lines = []
            for process in self.home.processes():
                with suppress(Exception):
                    lines.append(" ".join(process.cmdline()))
            return [each for each in lines if not any(o in each for o in ours)]

        self.slurm.wait(lambda: self.slurm.jobs() == [], 60, "no job is left")
        self.home.eventually(lambda: not strangers())


def content(name: str, index: int) -> bytes:
    """What a job writes into its file: nothing that compresses, and known here."""
    seed = f"{name}/{index}".encode()
    blocks = (
        hashlib.sha256(seed + b"%d" % i).digest() for i in range(FILE_BYTES // 32)
    )
    return b"".join(blocks)


_PROGRAM = f"""
import hashlib, pathlib, time
folder = pathlib.Path("results") / name
folder.mkdir(parents=True)
for index in range({FILES}):
    seed = f"{{name}}/{{index}}".encode()
    with (folder / f"{{index}}.bin").open("wb") as file:
        for i in range({FILE_BYTES} // 32):
            file.write(hashlib.sha256(seed + b"%d" % i).digest())
    time.sleep(0.1)
print(name, "ran,", open("frozen.txt").read())
"""


def _wrapper(pod: Path) -> int | None:
    return _find("offload.plugins.node", str(pod))


def _find(*marks: str) -> int | None:
    """Return the pid of a process with all of these in its command line."""
    wanted = [mark.encode() for mark in marks]
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                line = (entry / "cmdline").read_bytes()
                if all(mark in line for mark in wanted):
                    return int(entry.name)
    return None
