"""Which notebook servers nobody knows."""

import pytest

from facility.marked import MarkedProcess
from facility.process import ProcessIdentity
from hub_config import lost_servers

HUB, SERVER, CHILD, KERNEL, LOST = range(10, 15)


@pytest.fixture
def running(monkeypatch):
    """A hub, a server that is starting a kernel, one that has one, and a lost one."""
    server = ("python", "-m", lost_servers.SERVER_MODULE)
    processes = [
        (HUB, 1, ("python", "-m", "hub_config")),
        (SERVER, HUB, server),
        (CHILD, SERVER, server),  # forked, and has not executed the kernel yet
        (KERNEL, SERVER, ("python", "-m", "ipykernel_launcher")),
        (LOST, 1, server),
    ]
    found = [
        MarkedProcess(ProcessIdentity(pid, 1, "boot"), parent, pid, argv)
        for pid, parent, argv in processes
    ]
    monkeypatch.setattr(lost_servers, "marked_processes", lambda _: found)


def lost(*known):
    return [each.pid for each in lost_servers.lost_servers("test", known)]


@pytest.mark.usefixtures("running")
def test_what_a_server_starts_is_not_taken_for_a_server():
    assert lost(SERVER) == [LOST]
    assert lost() == [SERVER, LOST]
    assert lost(SERVER, LOST) == []
