import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from facility.spec import Site, SiteKey
from offload.jobs import queries
from offload.jobs.agent.serving import Agent
from offload.jobs.agent.sites import person
from offload.jobs.ledger import Ledger
from offload.jobs.model import Job, JobId
from offload.jobs.settings import Settings
from offload.jobs.specification import JobSpec, job_spec
from offload.jobs.submission import submit
from offload.link import Reachable, State
from offload.link.admission import socket_path, state_path
from offload.outputs import Area, Baseline, collect
from offload.snapshot import (
    Base,
    LocalStore,
    Part,
    Request,
    Snapshot,
    freeze,
    manifest,
)

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


STANDIN = Path(__file__).with_name("standin_site.py")


class StandinSite:
    """A site that dials in, run by the minimal plugin of the tests."""

    def __init__(self, sockets: Path, folder: Path) -> None:
        self.folder = folder
        self.dialed = sockets
        self.socket = socket_path(sockets, person(), "far")
        self.socket.parent.mkdir(parents=True)
        folder.mkdir()
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(STANDIN), str(self.socket), str(self.folder)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"
        self.tell(Reachable())

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def tell(self, state: State) -> None:
        """Say how the way to the site is doing, as the endpoint does."""
        path = state_path(self.socket)
        path.with_suffix(".new").write_text(json.dumps(state.to_json()))
        path.with_suffix(".new").replace(path)

    def behave(self, **how: object) -> None:
        path = self.folder / "behaviour.json"
        path.with_suffix(".new").write_text(json.dumps(how))
        path.with_suffix(".new").replace(path)

    def effects(self, kind: str) -> list[str]:
        try:
            lines = (self.folder / "effects.jsonl").read_text().splitlines()
        except FileNotFoundError:
            return []
        return [e[kind] for e in map(json.loads, lines) if kind in e]

    def asked(self, uid: str) -> dict[str, Any]:
        return json.loads((self.folder / "pods" / f"{uid}.json").read_text())["asked"]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[StandinSite]:
    # Socket addresses are short: the folders of tests are not.
    with tempfile.TemporaryDirectory(prefix="far-") as sockets:
        site = StandinSite(Path(sockets), tmp_path / "site")
        yield site
        site.stop()


@pytest.fixture
def far(settings: Settings, site: StandinSite) -> Settings:
    """Settings of a facility whose one site is the standin."""
    key = SiteKey(key="ssh-ed25519 AAAA")
    return settings.model_copy(
        update={
            "sites": (Site(name="far", keys=(key,)),),
            "dialed_dir": site.dialed,
            "idle_timeout_s": 300.0,
        }
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    (root / "train.py").write_text("print('trained')\n")
    return root


@pytest.fixture
def frozen(far: Settings, project: Path) -> Snapshot:
    return freeze(Request(root=project), LocalStore(far.snapshots))


@pytest.fixture
def send(
    far: Settings, frozen: Snapshot, project: Path, spec_of: SpecOf
) -> Callable[..., Awaitable[JobId]]:
    async def send(**values: object) -> JobId:
        where = {"root": str(project), "cwd": str(project)}
        return await asyncio.to_thread(submit, frozen, spec_of(**where | values), far)

    return send


@pytest.fixture
async def agent(far: Settings) -> AsyncIterator[Agent]:
    agent = Agent(far)
    running = asyncio.create_task(agent.run())
    yield agent
    agent.stop()
    await running


@pytest.fixture
def until_done(far: Settings) -> Callable[..., Awaitable[Job]]:
    async def until_done(id_: JobId) -> Job:
        return await asyncio.to_thread(queries.wait, far, str(id_), timeout_s=300)

    return until_done


@pytest.fixture
def pack(
    far: Settings, site: StandinSite, frozen: Snapshot, project: Path, tmp_path: Path
) -> Callable[[Mapping[str, str]], None]:
    """Have the site return these files (by relative path) as the job's outputs."""

    def pack(files: Mapping[str, str]) -> None:
        there, packed = tmp_path / "there", tmp_path / "packed"
        shutil.copytree(project, there)
        packed.mkdir()
        tree = manifest(frozen, LocalStore(far.snapshots), "code")
        baseline = Baseline.of(tree.entries)
        for name, text in files.items():
            path = there / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        area = Area(str(project), there)
        found = collect(area, baseline, packed, globs=("results/**",))
        shutil.copy(found.path, site.folder / "pack")

    return pack
