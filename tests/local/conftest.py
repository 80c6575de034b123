"""A facility of stand-ins in a directory of its own; nothing of it outlives a test."""

import asyncio
import sys
import time
from pathlib import Path

import pytest

from facility.local.ledger import Ledger
from facility.local.paths import Place
from facility.local.start import start
from facility.local.stop import stop
from facility.marked import end_marked, marked_processes
from facility.spec import Facility

SUPERVISOR = Path(__file__).with_name("standin_supervisor.py")


class Standins:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.place = Place.of(directory)

    def command(self, table: str = "two") -> tuple[str, ...]:
        return (sys.executable, str(SUPERVISOR), table)

    def up(self, spec=None, table="two"):
        return start(self.directory, spec or Facility(), supervisor=self.command(table))

    def down(self):
        return stop(self.directory)

    @property
    def storage(self):
        storage = self.place.last_storage()
        assert storage is not None
        return storage

    @property
    def ledger(self) -> Ledger:
        ledger = Ledger.load(self.storage.ledger_file)
        assert ledger is not None
        return ledger

    def entry(self, name: str):
        return next(e for e in self.ledger.processes if e.name == name)

    def pid(self, name: str) -> int:
        identity = self.entry(name).identity
        assert identity is not None
        return identity.pid

    def marked(self):
        return marked_processes(self.storage.id)

    def pids_of(self, word: str) -> list[int]:
        """Pids of the marked processes that have this word as their last argument."""
        return [p.identity.pid for p in self.marked() if p.argv[-1:] == (word,)]


@pytest.fixture
def state_home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def standins(tmp_path, state_home):
    directory = tmp_path / "facility"
    directory.mkdir()
    facility = Standins(directory)
    yield facility
    storage = facility.place.last_storage()
    if storage is not None:
        asyncio.run(end_marked(storage.id, grace_s=0.5))


@pytest.fixture
def eventually():
    """Wait until a condition holds: real processes take their time."""

    def wait(condition, timeout_s=60.0):
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            result = condition()
            if result:
                return result
            time.sleep(0.02)
        pytest.fail(f"not within {timeout_s} s: {condition}")

    return wait
