"""What runs on when a facility ends: jobs of this machine, and nothing else."""

import asyncio
import contextlib
import os
import subprocess
import time

import pytest

from facility.marked import end_marked, marked_processes
from facility.process import identify
from facility.runtime import MARK, OUTLIVES


@pytest.fixture
def tree(tmp_path):
    """Start agent > plugin > job; give their pids. The agent alone bears the mark."""
    made = []

    def make(*, outlives: bool):
        names = tmp_path / "pids"
        names.unlink(missing_ok=True)
        job = f"echo $$ >> {names}; exec sleep 60"
        plugin = f"echo $$ >> {names}; setsid sh -c '{job}' & wait"
        marker = f"{OUTLIVES}=1" if outlives else "NOTHING=1"
        agent = f'env -i {marker} PATH="$PATH" sh -c "{plugin}" & wait'
        agent = agent.replace("$$", "\\$\\$")
        child = subprocess.Popen(
            ["sh", "-c", agent], env={**os.environ, MARK: "outliving-1"}
        )
        made.append(child)
        pids = []
        while len(pids) < 2:
            time.sleep(0.01)
            with contextlib.suppress(FileNotFoundError):
                pids = list(map(int, names.read_text().split()))
        made.extend(pids)
        return [child.pid, *pids]

    yield make
    for one in made:
        with contextlib.suppress(ProcessLookupError):
            os.kill(one if isinstance(one, int) else one.pid, 9)
        if not isinstance(one, int):
            one.wait()


def test_jobs_are_not_ended_with_the_facility(tree):
    agent, plugin, job = tree(outlives=True)
    assert [p.identity.pid for p in marked_processes("outliving-1")] == [agent]
    asyncio.run(end_marked("outliving-1"))
    assert identify(agent) is None
    assert identify(plugin) is not None
    assert identify(job) is not None


def test_everything_else_is(tree):
    agent, plugin, job = tree(outlives=False)
    asyncio.run(end_marked("outliving-1"))
    assert [identify(pid) for pid in (agent, plugin, job)] == [None, None, None]
