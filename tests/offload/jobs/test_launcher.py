import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from facility.process import ProcessIdentity, identify, send_signal
from offload.jobs import queries
from offload.jobs.errors import JobRefusedError
from offload.jobs.keeping import Keeper
from offload.jobs.ledger import Ledger
from offload.jobs.people import person_of
from offload.jobs.stages import Outcome
from offload.jobs.unix_sockets import connect, listener
from offload.jobs.wake import wake


def until(condition, *, timeout_s: float = 40.0):
    end = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.02)
    return found


class Launched:
    def __init__(self, settings, tmp_path: Path) -> None:
        self.settings = settings
        self.file = tmp_path / "offload.json"
        settings.save(self.file)
        self.log = tmp_path / "launcher.log"
        self.start()

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "offload.jobs.launcher"],
                env=os.environ | {"FACILITY_OFFLOAD": str(self.file)},
                stdout=log,
                stderr=log,
            )
        until(self.settings.launcher_socket.exists)

    def agent(self) -> ProcessIdentity | None:
        return listener(self.settings.agent_socket, uid=os.geteuid())

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)


@pytest.fixture
def launched(far, tmp_path):
    launched = Launched(far, tmp_path)
    yield launched
    agent = launched.agent()
    launched.stop()
    if agent is not None:
        send_signal(agent, signal.SIGKILL)


def test_an_agent_is_started_on_request_and_ends_with_the_launcher(
    far, launched, send, frozen
) -> None:
    id_ = asyncio.run(send())
    job = queries.wait(far, str(id_), timeout_s=60)
    assert job.outcome is Outcome.SUCCEEDED
    agent = launched.agent()
    launched.stop()
    assert not agent.is_alive()
    assert not far.launcher_socket.exists()


def test_a_killed_agent_is_started_again_and_goes_on(far, launched, site, send) -> None:
    site.behave(run_s=1.0)
    id_ = asyncio.run(send())
    first = until(launched.agent)
    send_signal(first, signal.SIGKILL)
    job = queries.wait(far, str(id_), timeout_s=60)
    assert job.outcome is Outcome.SUCCEEDED
    assert launched.agent() != first
    assert len(site.effects("created")) == 1


def test_a_launcher_that_was_killed_is_followed_by_one_that_adopts(
    far, launched, site, send
) -> None:
    site.behave(run_s=60)
    asyncio.run(send())
    agent = until(launched.agent)
    launched.process.kill()
    launched.process.wait()
    far.launcher_socket.unlink()
    launched.start()
    until(lambda: f"adopted: {agent.pid}" in launched.log.read_text())
    assert launched.agent() == agent
    launched.stop()
    assert not agent.is_alive()


def test_jobs_left_open_are_carried_without_being_asked_for(
    far, site, send, tmp_path
) -> None:
    id_ = asyncio.run(send())  # nobody is there to be woken
    launched = Launched(far, tmp_path)
    try:
        job = queries.wait(far, str(id_), timeout_s=60)
        assert job.outcome is Outcome.SUCCEEDED
    finally:
        launched.stop()


def test_without_open_jobs_no_agent_stays(far, site, tmp_path) -> None:
    Ledger(far.ledger).close()
    launched = Launched(far, tmp_path)
    try:
        until(lambda: "started" in launched.log.read_text())
        pid = int(launched.log.read_text().partition("started: ")[2].split()[0])
        until(lambda: identify(pid) is None)
        assert launched.agent() is None
        assert wake(far)
    finally:
        launched.stop()


def test_what_is_no_request_starts_nothing(far, launched) -> None:
    for said in (b"", b"x\n", b"wake", b"y" * 5000 + b"\n"):
        with connect(far.launcher_socket, 10) as connection:
            connection.sendall(said)
            connection.shutdown(socket.SHUT_WR)
            assert connection.makefile("rb").read() == b""
    assert "started" not in launched.log.read_text()
    with connect(far.launcher_socket, 10) as connection:
        connection.sendall(b"wake\n")
        assert json.loads(connection.makefile("rb").read()) == {"agent": "awake"}
    until(lambda: "started" in launched.log.read_text())


def test_strangers_have_no_agent(far) -> None:
    with pytest.raises(JobRefusedError, match="serves one person only"):
        person_of(1, far)
    several = far.model_copy(update={"multi_user": True, "people": ("anna",)})
    with pytest.raises(JobRefusedError, match="'daemon': not in users of facility"):
        person_of(1, several)


def test_another_users_agent_gets_nothing_of_our_environment(far) -> None:
    several = far.model_copy(update={"multi_user": True, "people": ("daemon",)})
    person = person_of(1, several)
    ours = {"PATH": "/bin", "HTTPS_PROXY": "http://u:p@h", "FACILITY_ID": "f"}
    assert person.environment(ours) == {
        "PATH": "/bin",
        "FACILITY_ID": "f",
        "USER": "daemon",
        "LOGNAME": "daemon",
        "HOME": str(person.home),
    }
    mine = several.model_copy(update={"state_dir": Path("~/state")})
    assert person.ledger(mine) == person.home / "state/ledger.sqlite"


def test_a_home_that_is_closed_to_us_stops_nobody(far) -> None:
    person = person_of(os.geteuid(), far)
    closed = far.model_copy(update={"state_dir": far.state_dir.parent / ("x" * 300)})
    with pytest.raises(OSError, match="too long"):
        person.ledger(closed).exists()
    assert person.may_have_jobs(closed)
    assert not person.may_have_jobs(
        far.model_copy(update={"state_dir": far.state_dir / "none"})
    )


async def test_an_agent_that_cannot_be_started_is_started_later(
    far, monkeypatch, caplog
) -> None:
    tried = asyncio.Event()

    def refuse(*_, **__):
        tried.set()
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    keeper = Keeper(person_of(os.geteuid(), far), far)
    keeper.wake()
    await tried.wait()
    await keeper.stop()
    assert "temporarily unavailable" in caplog.text


LISTENING = """
import os, socket, sys
listening = socket.socket(socket.AF_UNIX)
folder, name = os.path.split(sys.argv[1])
os.chdir(folder)  # the address of a socket is short
listening.bind(name)
os.seteuid(int(sys.argv[2]))
listening.listen()
if sys.argv[3] == "root":
    os.seteuid(0)
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may be another user")
@pytest.mark.parametrize("who", ["root", "he"])
def test_who_listened_as_a_person_and_is_another_now_is_not_his_agent(
    tmp_path, who
) -> None:
    path = tmp_path / "s"
    with subprocess.Popen(
        [sys.executable, "-c", LISTENING, path, "65534", who],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout.readline() == b"ready\n"
        found = listener(path, uid=65534)
        process.stdin.close()
    assert (found is not None) == (who == "he")
