"""kill -9 of every process, at several points of an analysis.

Whatever dies: the facility works again, the analysis ends with the same histogram,
and when it is over no process is left of it.
"""

import asyncio
import contextlib
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from facility.marked import marked_processes
from facility.samples.dimuon import DimuonParameters, generate

VICTIMS = (
    "hub", "proxy", "gateway", "gateway-proxy", "scheduler", "worker", "supervisor",
)  # fmt: skip
POINTS = (0.05, 0.25, 0.45, 0.65, 0.85)
"""Of the time that the analysis takes when nothing dies."""

pytestmark = pytest.mark.timeout(900)


class Analyst:
    """A person at work: a program with his token, outside of the facility."""

    def __init__(self, facility, token: str, path: Path, output: Path) -> None:
        self.output = output
        runtime = facility.runtime
        self.process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("analysis.py"), path, output],
            env={
                **os.environ,
                "JUPYTERHUB_API_TOKEN": token,
                "DASK_GATEWAY__ADDRESS": runtime.gateway_url,
                "DASK_GATEWAY__PROXY_ADDRESS": runtime.gateway_tls_url,
                "DASK_GATEWAY__AUTH__TYPE": "facility.client.gateway_auth.HubAuth",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.start = time.monotonic()

    def finish(self) -> tuple[bytes, float]:
        said, _ = self.process.communicate(timeout=400)
        assert self.process.returncode == 0, said
        return self.output.read_bytes(), time.monotonic() - self.start


@pytest.fixture(scope="module")
def facility(start_facility):
    return start_facility()


@pytest.fixture(scope="module")
def sample() -> Path:
    return generate(DimuonParameters(4_000_000, 1))


def victim_pids(facility, victim: str) -> list[int]:
    """Processes of that name; those of clusters by what they have claimed."""
    if victim in {"scheduler", "worker"}:
        return [
            pid
            for folder in facility.clusters()
            for name, pid in claims(folder)
            if (name == "scheduler") == (victim == "scheduler")
        ]
    return [facility.pids()[victim]]


def claims(cluster: Path) -> list[tuple[str, int]]:
    """Name and pid of each process of a cluster that may be beginning or ending."""
    found = []
    with contextlib.suppress(FileNotFoundError):
        for claim in (cluster / "claims").iterdir():
            with contextlib.suppress(ValueError):  # not written yet
                found.append((claim.name, json.loads(claim.read_text())["pid"]))
    return found


def histogram_of(saved: bytes) -> object:
    """Return the counts; times and places differ from run to run."""
    return json.loads(saved)["storage"]


async def crash(facility, sample, tmp_path, eventually, kill, plan) -> None:
    """Run the analysis, kill what the plan names when it says, check everything."""
    token = await facility.token()
    calm, seconds = Analyst(facility, token, sample, tmp_path / "calm.json").finish()
    eventually(lambda: not facility.clusters(), 100, "the calm cluster is gone")
    for victim, point in plan:
        analyst = Analyst(facility, token, sample, tmp_path / "crashed.json")
        await asyncio.sleep(point * seconds)
        killed = victim_pids(facility, victim)
        for pid in killed[:1]:
            with contextlib.suppress(ProcessLookupError):  # its cluster is ending
                kill(pid)
        if victim == "supervisor":
            facility.up()
        crashed, _ = analyst.finish()
        assert histogram_of(crashed) == histogram_of(calm), (victim, point)
        eventually(facility.is_working, 100, f"it works after {victim} at {point}")
        eventually(lambda: not facility.clusters(), 100, "clusters are gone")
        eventually(
            lambda: (
                len(marked_processes(facility.runtime.id)) <= len(facility.pids()) + 1
            ),  # the template
            100,
            f"no process is left over after {victim} at {point}",
        )


@pytest.mark.engines
@pytest.mark.parametrize(
    ("victim", "point"),
    [(victim, POINTS[i % len(POINTS)]) for i, victim in enumerate(VICTIMS)],
)
async def test_killed(
    victim, point, facility, sample, tmp_path, eventually, kill
) -> None:
    """Each process once; ``make soak`` does all of them at every point."""
    await crash(facility, sample, tmp_path, eventually, kill, [(victim, point)])


@pytest.mark.soak
@pytest.mark.timeout(7200)
async def test_killed_a_hundred_times(
    facility, sample, tmp_path, eventually, kill
) -> None:
    """Every process at every point, then at random (seeded), 100 in all."""
    plan = [(victim, point) for victim in VICTIMS for point in POINTS]
    dice = random.Random(20261121)
    while len(plan) < 100:
        plan.append((dice.choice(VICTIMS), dice.random()))
    await crash(facility, sample, tmp_path, eventually, kill, plan)
