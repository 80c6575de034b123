"""The main job from end to end, as a stranger sees it: ``facility demo``.

A facility of its own (inside the output directory, so it never meets the person's own
one) is started; the person logs in with a one-time link and executes the notebook in
his server's kernel; the same analysis is submitted as a job; the outputs are collected,
everything is stopped, and nothing may be left. A demo that was killed is cleaned up by
the next one with the same output.
"""

from __future__ import annotations

import asyncio
import getpass
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from facility.client.hub_session import HubSession
from facility.client.notebook import CellDone, CellError
from facility.errors import ExitCode, FacilityError, UsageError
from facility.local.demo_job import PROGRAM, run_job, site_kept_in
from facility.local.login import login_link
from facility.local.paths import Place
from facility.local.start import start
from facility.local.stop import stop
from facility.marked import marked_processes
from facility.runtime import Runtime
from facility.spec import Facility, Offload, Storage

SAMPLES = ("zmumu",)
"""Fetched beforehand: they are the notebook's input, not what it shows."""
MEASURED = "dimuon-stages.json"
"""What the notebook itself measures."""
OUTPUTS = ("dimuon.png", "dimuon.json")
SERVER_TIMEOUT_S = 120.0
NOTEBOOK_TIMEOUT_S = 300.0
SAMPLES_TIMEOUT_S = 600.0


@dataclass(frozen=True, slots=True)
class Stage:
    """One line of the table."""

    name: str
    seconds: float
    note: str = ""


@dataclass(slots=True)
class Stages:
    """What was measured, in order; each stage is told as soon as it is known."""

    tell: Callable[[Stage], None]
    done: list[Stage] = field(default_factory=list)
    measured: dict[str, Any] = field(default_factory=dict)
    """The notebook's own figures."""
    job: dict[str, Any] = field(default_factory=dict)
    """The job's."""

    def add(self, name: str, seconds: float, note: str = "") -> None:
        stage = Stage(name, round(seconds, 3), note)
        self.done.append(stage)
        self.tell(stage)

    @contextmanager
    def time(self, name: str) -> Iterator[None]:
        begin = time.monotonic()
        yield
        self.add(name, time.monotonic() - begin)

    def save(self, path: Path) -> None:
        record = {
            "stages": [asdict(stage) for stage in self.done],
            "notebook": self.measured,
            "job": self.job,
        }
        path.write_text(json.dumps(record, indent=1) + "\n")


def run_demo(
    notebook: Path,
    out: Path,
    tell: Callable[[Stage], None],
    install_s: float | None = None,
) -> Stages:
    """Run the demo and put its outputs into ``out``.

    Args:
        notebook: the notebook to execute.
        out: made if missing; gets the executed notebook, its outputs, ``stages.json``.
        tell: is called with each stage as it is done.
        install_s: how long the installation before took, if there was one.

    Raises:
        FacilityError: a stage failed; the facility is stopped, its logs are kept in
            ``out/facility``.
    """
    document = _read(notebook)
    program = notebook.parent / PROGRAM
    if not program.is_file():
        raise UsageError(f"{program}: there is no such program; it is the demo's job")
    directory = (out / "facility").absolute()
    directory.mkdir(parents=True, exist_ok=True)
    stages = Stages(tell)
    begin = time.monotonic()
    if install_s is not None:
        stages.add("install", install_s)
    stop(directory)
    samples = _prepare_samples()
    try:
        folder = _folder(directory)
        spec = Facility(
            storage=Storage(state=directory / "state"),
            # Jobs of the person's own facility have the same numbers.
            offload=Offload(jobs=f"{folder}/jobs"),
            sites=(site_kept_in(out),),
        )
        started = start(directory, spec)
        stages.add("hub, gateway and proxy ready", started.seconds)
        try:
            asyncio.run(_work(started.runtime, folder, document, out, samples, stages))
            _submit(started.runtime, program, out, stages)
        finally:
            _remove_from_home(folder)
    except FacilityError as error:
        failed = FacilityError(f"{error} (logs: {directory})")
        failed.exit_code = error.exit_code
        raise failed from error
    finally:
        samples.kill()
        samples.communicate()
        with stages.time("down"):
            stop(directory)
    _check_nothing_left(directory)
    stages.add("demo in total", time.monotonic() - begin + (install_s or 0.0))
    stages.save(out / "stages.json")
    _remove_state(started.runtime)
    return stages


def _prepare_samples() -> subprocess.Popen[str]:
    """Fetch and generate the notebook's data while the facility starts."""
    program = (
        "import sys; from facility.cli.running import run; "
        "sys.exit(run(['samples', 'fetch', *sys.argv[1:]]) or "
        "run(['samples', 'generate', 'dimuon']))"
    )
    return subprocess.Popen(
        (sys.executable, "-c", program, *SAMPLES),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def _folder(directory: Path) -> str:
    """Return the folder below the person's home that is the demo's own."""
    return f"facility-demo-{Place.of(directory).key}"


async def _work(
    runtime: Runtime,
    folder: str,
    document: dict[str, Any],
    out: Path,
    samples: subprocess.Popen[str],
    stages: Stages,
) -> None:
    async with HubSession.login(login_link(runtime)) as session:
        with stages.time("server ready"):
            server = await session.start_server(timeout_s=SERVER_TIMEOUT_S)
        with stages.time("waiting for samples"):
            await _wait_for(samples)
        begin = time.monotonic()
        try:
            executed = await server.execute(
                document,
                path=f"{folder}/dimuon.ipynb",
                on_cell=_ignore,
                timeout_s=NOTEBOOK_TIMEOUT_S,
            )
        except CellError as error:
            _write(out / "dimuon.ipynb", error.notebook.document)
            raise
        notebook_s = time.monotonic() - begin
        _write(out / "dimuon.ipynb", executed.document)
        for name in OUTPUTS:
            (out / name).write_bytes(await server.read_file(f"{folder}/{name}"))
        measured = json.loads(await server.read_file(f"{folder}/{MEASURED}"))
    _take_measurements(stages, measured, notebook_s)


def _take_measurements(
    stages: Stages, measured: dict[str, Any], notebook_s: float
) -> None:
    stages.measured = measured
    stages.add("cluster and 2 workers ready", measured["cluster_ready_s"])
    stages.add(
        "analysis",
        measured["analysis_s"],
        f"{measured['events']:,} generated events, "
        f"{measured['events_per_s'] / 1e6:.2f} million/s",
    )
    stages.add(
        "notebook in total",
        notebook_s,
        f"Z mass {measured['mass']:.2f} ± {measured['mass_error']:.2f} GeV, width "
        f"{measured['width']:.2f} ± {measured['width_error']:.2f} GeV from "
        f"{measured['distinct_events']:,} collisions ({measured['rows']:,} rows)",
    )


def _submit(runtime: Runtime, program: Path, out: Path, stages: Stages) -> None:
    """Have a site make the notebook's histogram again; it must be the same."""
    from facility.samples import path

    same_as = out / "dimuon.json"
    returned = run_job(runtime, program, path(SAMPLES[0]), out, same_as)
    stages.add(f"job at site {returned.site}", returned.seconds, returned.note)
    stages.job = asdict(returned)


async def _wait_for(samples: subprocess.Popen[str]) -> None:
    _, said = await asyncio.to_thread(samples.communicate, timeout=SAMPLES_TIMEOUT_S)
    if samples.returncode:
        kind = UsageError if samples.returncode == ExitCode.USAGE else FacilityError
        raise kind(said.strip().removeprefix("facility: "))


def _read(notebook: Path) -> dict[str, Any]:
    try:
        document = json.loads(notebook.read_text())
    except FileNotFoundError:
        raise UsageError(
            f"{notebook}: there is no such notebook: give one with --notebook, or run "
            "in a clone of the repository"
        ) from None
    except ValueError as error:
        raise UsageError(f"{notebook}: expected a notebook (JSON): {error}") from None
    assert isinstance(document, dict)
    return document


def _write(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def _ignore(_: CellDone) -> None:
    """Cells are not told one by one."""


def _remove_from_home(folder: str) -> None:
    """Leave nothing in the person's home; the server works below it.

    As root it is the one of the password file, otherwise $HOME.
    """
    for home in {Path.home(), Path(f"~{getpass.getuser()}").expanduser()}:
        with suppress(FileNotFoundError):
            shutil.rmtree(home / folder)


def _remove_state(runtime: Runtime) -> None:
    """Remove what the facility kept, which nobody needs after a demo that went well."""
    if runtime.multi_user:  # then it is not all below the directory
        from offload.jobs.settings import Settings

        settings = Settings.load(runtime.offload_file)
        shutil.rmtree(settings.home.parent, ignore_errors=True)
        shutil.rmtree(runtime.open_dir, ignore_errors=True)
    shutil.rmtree(runtime.directory)


def _check_nothing_left(directory: Path) -> None:
    storage = Place.of(directory).last_storage()
    left = [] if storage is None else marked_processes(storage.id)
    if left:
        raise FacilityError(f"left running: {', '.join(map(str, left))}")
