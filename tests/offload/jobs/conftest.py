from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from offload.jobs.ledger import Ledger
from offload.jobs.model import JobId
from offload.jobs.settings import Settings
from offload.jobs.specification import JobSpec, job_spec
from offload.snapshot import Base, Part, Snapshot

SpecOf = Callable[..., JobSpec]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return Settings(
        facility_id="test-1",
        state_dir=tmp_path / "state",
        launcher_socket=tmp_path / "launcher.sock",
        jobs_dir=tmp_path / "jobs",
    )


@pytest.fixture
def ledger(settings: Settings, clock: Clock) -> Iterator[Ledger]:
    ledger = Ledger(settings.ledger, clock=clock)
    yield ledger
    ledger.close()


@pytest.fixture
def spec_of() -> SpecOf:
    def make(**values: object) -> JobSpec:
        where = {"root": "/home/u/p", "cwd": "/home/u/p"}
        command = {} if "notebook" in values else {"command": ("true",)}
        return job_spec(**command | where | values)

    return make


@pytest.fixture
def snapshot() -> Snapshot:
    part = Part("code", "/home/u/p", "sha256:" + "c" * 64, 1, 3, ())
    return Snapshot(
        id="sha256:" + "a" * 64,
        image="sha256:" + "b" * 64,
        parts=(part,),
        base=Base("x86_64", "glibc", "2.36", "/usr/bin/python3.11", "3.11.2"),
        environment=None,
        created="2026-11-21T13:00:00Z",
        warnings=("a link leaves the tree",),
    )


@pytest.fixture
def add(ledger: Ledger, spec_of: SpecOf, snapshot: Snapshot) -> Callable[..., JobId]:
    def add(**values: object) -> JobId:
        spec = spec_of(**values)
        return ledger.add(spec, snapshot=snapshot.to_json(), image=snapshot.image)

    return add
