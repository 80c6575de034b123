"""kill -9 while a facility starts or stops: the next command converges."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from itertools import product
from pathlib import Path

import pytest

from facility.local.ledger import Ledger
from facility.local.paths import Place
from facility.marked import marked_processes
from facility.process import identify

pytestmark = [pytest.mark.engines, pytest.mark.timeout(600)]

COMMAND = Path(sys.executable).parent / "facility"
MOMENTS_S = (0.3, 0.7, 1.2, 1.8, 2.6)
"""After the start of `facility up`, which takes about 3 s on a quiet machine."""
VICTIMS = ("-m facility.local", "hub_config", "facility.local.proxy", "gateway")
SAMPLE = list(zip(VICTIMS, MOMENTS_S, strict=False))
REST = [pair for pair in product(VICTIMS, MOMENTS_S) if pair not in SAMPLE]


class Directory:
    """A directory without a running facility, and commands typed in it."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = path
        monkeypatch.setenv("XDG_STATE_HOME", str(path / "state"))
        self.place = Place.of(path)

    def begin(self, *arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [COMMAND, "-C", self.path, *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def finish(self, *arguments: str) -> dict:
        done = subprocess.run(
            [COMMAND, "-C", self.path, *arguments, "--json"],
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    def processes(self):
        storage = self.place.last_storage()
        return [] if storage is None else marked_processes(storage.id)

    def supervisor_pid(self) -> int | None:
        storage = self.place.last_storage()
        ledger = None if storage is None else Ledger.load(storage.ledger_file)
        return None if ledger is None else ledger.supervisor.pid

    def kill(self, victim: str) -> None:
        """Kill the processes whose command line has this word, if there are any yet."""
        for process in self.processes():
            if victim in " ".join(process.argv):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.identity.pid, signal.SIGKILL)


@pytest.fixture
def directory(tmp_path, monkeypatch):
    made = Directory(tmp_path, monkeypatch)
    yield made
    made.finish("down")
    assert made.processes() == []


def assert_works(directory: Directory) -> None:
    # What was killed when `up` had just seen it ready is started again in a moment.
    deadline = time.monotonic() + 100
    while True:
        status = directory.finish("status")
        states = {row["state"] for row in status["processes"]}
        if states == {"ready"}:
            break
        assert time.monotonic() < deadline, status
        time.sleep(0.1)
    pids = [row["pid"] for row in status["processes"]]
    # Nobody runs twice: each supervised command is there once.
    commands = [p.argv for p in directory.processes() if p.is_session_leader]
    assert all(identify(pid) is not None for pid in pids)
    for module in ("hub_config", "facility.local.proxy"):
        assert sum(module in argv for argv in commands) == 1


@pytest.mark.parametrize(
    ("victim", "moment_s"),
    [*SAMPLE, *(pytest.param(*pair, marks=pytest.mark.soak) for pair in REST)],
)
def test_killed_while_it_starts(directory, victim, moment_s):
    up = directory.begin("up")
    time.sleep(moment_s)
    directory.kill(victim)
    # Alone, it either recovered or said why not; the next one succeeds in any case.
    up.wait(timeout=200)
    directory.finish("up")
    assert_works(directory)


@pytest.mark.parametrize("moment_s", MOMENTS_S[::2])
def test_up_itself_killed(directory, moment_s):
    up = directory.begin("up")
    time.sleep(moment_s)
    up.kill()
    up.wait()
    directory.finish("up")
    assert_works(directory)


@pytest.mark.parametrize(
    ("victim", "moment_s"), [("command", 0.3), ("supervisor", 0.5), ("supervisor", 0.8)]
)
def test_killed_while_it_stops(directory, victim, moment_s):
    directory.finish("up")
    supervisor = directory.supervisor_pid()
    assert supervisor is not None
    down = directory.begin("down")
    time.sleep(moment_s)
    with contextlib.suppress(ProcessLookupError):
        os.kill(down.pid if victim == "command" else supervisor, signal.SIGKILL)
    down.wait(timeout=100)
    directory.finish("down")
    assert directory.processes() == []


def test_a_full_disk_is_one_line(tmp_path, monkeypatch):
    """A real file system of 1 MiB (mounting it needs root)."""
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)]
    subprocess.run(mount, check=True)
    try:
        monkeypatch.setenv("XDG_STATE_HOME", str(small))
        done = subprocess.run(
            [COMMAND, "-C", tmp_path, "up"], capture_output=True, text=True, check=False
        )
    finally:
        subprocess.run(["umount", str(small)], check=True)
    assert done.returncode == 2
    assert done.stderr.startswith("facility: not enough disk: ")
    assert "1 MiB are free" in done.stderr
    assert done.stderr.count("\n") == 1


def test_foreground_ends_with_ctrl_c(directory):
    with subprocess.Popen(
        [COMMAND, "-C", directory.path, "up", "--foreground", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as up:
        assert up.stdout is not None
        assert "token=" in json.loads(up.stdout.readline())["login"]
        assert_works(directory)
        up.send_signal(signal.SIGINT)
        assert up.wait(timeout=100) == 0
    assert directory.processes() == []
