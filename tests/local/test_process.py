"""Sessions of processes that are gone, and pids that were used again."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from facility.marked import end_session
from facility.process import ProcessIdentity, identify, session_members


@pytest.fixture
def leader() -> Iterator[ProcessIdentity]:
    command = [sys.executable, "-S", "-c", "input()"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, start_new_session=True
    ) as process:
        found = identify(process.pid)
        assert found is not None
        yield found
        process.kill()


def test_a_session_is_its_leaders_and_his_users(leader: ProcessIdentity) -> None:
    assert session_members(leader, uid=os.getuid()) == [leader]
    assert session_members(leader, uid=os.getuid() + 1) == []


@pytest.mark.parametrize("what", ["restarted machine", "pid used again"])
def test_the_session_of_whoever_has_the_pid_now_is_spared(leader, what) -> None:
    """Root's gateway, told to end a worker of yesterday, must not end a daemon."""
    if what == "pid used again":
        yesterday = replace(leader, start_ticks=leader.start_ticks - 1)
    else:
        yesterday = replace(leader, boot="another")
    assert session_members(yesterday, uid=os.getuid()) == []
    asyncio.run(end_session(yesterday))
    assert leader.is_alive()
