"""From what a person types to a job in his ledger: look, freeze, record."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from facility.client.working_environment import (
    check_notebooks_run,
    prefix_of_notebook,
)
from facility.errors import UsageError

if TYPE_CHECKING:
    from offload.jobs.model import JobId
    from offload.jobs.settings import Settings
    from offload.jobs.specification import JobSpec
    from offload.snapshot import Progress, Request, Snapshot

_OPTIONS = {
    "time_s": "--time (in seconds)",
    "memory_bytes": "--memory (in bytes)",
    "slice": "--slice",
    "site": "--site",
    "cpus": "--cpus",
    "nodes": "--nodes",
    "tasks": "--tasks",
    "count": "--count",
    "after.0": "--after",
    "outputs.0": "--outputs",
    "credentials.0": "--with-credential",
    "name": "--name",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a person asks for. What is not said has the default of a job."""

    command: tuple[str, ...]
    """Program and arguments; or one notebook."""
    folder: Path
    """Where he is."""
    prefix: Path | None = None
    """The environment he is in; ``None`` for the host's own Python."""
    inputs: tuple[Path, ...] = ()
    """Files and folders outside the code that it reads."""
    allow: tuple[str, ...] = ()
    """Files that may travel though they look like secrets."""
    options: dict[str, object] = field(default_factory=dict)
    """Further values of a job's specification (``offload.jobs.specification``)."""

    @property
    def notebook(self) -> Path | None:
        """The notebook to execute, if it is one."""
        if len(self.command) == 1 and self.command[0].endswith(".ipynb"):
            return self.folder / self.command[0]
        return None


@dataclass(frozen=True, slots=True)
class Submitted:
    """A job that is safe in the ledger."""

    id: JobId
    snapshot: Snapshot
    seconds: float
    """From the first look at the files to the record of the job."""


def submit(
    wanted: Wanted,
    settings: Settings,
    progress: Callable[[Progress], None] | None = None,
) -> Submitted:
    """Freeze what is in front of the person and record the job.

    Nothing is recorded, and nothing half-done left, if anything is wrong.

    Raises:
        UsageError: a value, a file, a site or a slice is not what it must be, or what
            would travel holds secrets.
        FacilityError: a file changed all the time, the disk is full, and so on.
    """
    from offload.jobs.submission import submit as record
    from offload.snapshot import LocalStore, freeze

    begin = time.monotonic()
    request = request_of(wanted)
    # The values are looked at before anything is read: a typo must not cost a minute.
    spec = specification_of(wanted, request.root)
    if spec.site is not None:
        settings.site(spec.site)
    snapshot = freeze(request, LocalStore(settings.snapshots), progress=progress)
    job = record(snapshot, spec, settings)
    return Submitted(job, snapshot, time.monotonic() - begin)


def request_of(wanted: Wanted) -> Request:
    """Return what must be frozen.

    Raises:
        UsageError: no such file, no folder that could travel, or a notebook with
            arguments.
    """
    from offload.snapshot import Request
    from offload.snapshot.selection.code import code_root

    prefix = wanted.prefix
    notebook = wanted.notebook
    if notebook is not None:
        prefix = prefix_of_notebook(notebook, prefix)
        check_notebooks_run(prefix, notebook)
    elif not wanted.command:
        raise UsageError("nothing to run: give a command after --, or a notebook")
    elif wanted.command[0].endswith(".ipynb"):
        raise UsageError(
            f"{wanted.command[0]}: a notebook takes no arguments, got "
            f"{wanted.command[1]!r}; options go before it"
        )
    else:
        _check_program(wanted.command[0], wanted.folder)
    for path in wanted.inputs:
        if not path.exists():
            raise UsageError(f"--input {path}: no such file or folder")
    return Request(
        root=code_root(wanted.folder, Path.home()),
        prefix=prefix,
        inputs=tuple(path.absolute() for path in wanted.inputs),
        allow=wanted.allow,
    )


def specification_of(wanted: Wanted, root: Path) -> JobSpec:
    """Return the job as it is recorded.

    Raises:
        JobRefusedError: a value is out of range.
    """
    from offload.jobs.errors import JobRefusedError
    from offload.jobs.specification import job_spec
    from offload.jobs.submission import relevant_environment

    notebook = wanted.notebook
    what: dict[str, object] = {"command": wanted.command}
    if notebook is not None:
        name = Path(os.path.normpath(notebook))
        if not name.is_relative_to(root):
            raise UsageError(f"{notebook}: expected a notebook below {root}")
        what = {"notebook": str(name.relative_to(root))}
    extra = wanted.options.get("environment")
    assert extra is None or isinstance(extra, dict)
    environment = relevant_environment(os.environ) | (extra or {})
    if wanted.prefix is not None and (wanted.prefix / "pyvenv.cfg").exists():
        environment["VIRTUAL_ENV"] = str(wanted.prefix)
    try:
        return job_spec(
            **{**wanted.options, "environment": environment},
            **what,
            root=root,
            cwd=wanted.folder,
        )
    except JobRefusedError as error:
        field_, colon, rest = str(error).partition(":")
        if colon and field_ in _OPTIONS:  # people typed an option, not a field
            raise UsageError(f"{_OPTIONS[field_]}:{rest}") from None
        raise


def _check_program(program: str, folder: Path) -> None:
    """Raise if a program that is named by its path is not there, or cannot run.

    One that is named without a slash is looked for by the job: on the site.
    """
    if "/" not in program:
        return
    path = folder / program
    if not path.exists():
        raise UsageError(f"{program}: no such file in {folder}")
    if path.is_dir() or not os.access(path, os.X_OK):
        raise UsageError(
            f"{program}: expected a program, got a file that cannot be executed: "
            f"`chmod +x {program}`, or name what runs it before it"
        )
