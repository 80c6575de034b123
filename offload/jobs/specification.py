"""What a person asks for when he submits a job."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from offload.jobs.errors import JobRefusedError

DAY_S = 86400.0
LONGEST_S = 366 * DAY_S
LEAST_MEMORY = 2**20
MOST_MEMORY = 2**50
MOST_ELEMENTS = 100_000

_NAME = r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$"
_SLICE = r"^[A-Za-z0-9]([A-Za-z0-9._/+-]{0,61}[A-Za-z0-9])?$"
_JOB = r"^[1-9][0-9]{0,17}$"

Name = Annotated[str, Field(pattern=_NAME)]


class JobSpec(BaseModel):
    """One job, or ``count`` equal ones that differ by their index."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True
    )

    command: tuple[str, ...] = ()
    """Program and arguments, run without a shell. Empty for a notebook."""
    notebook: str | None = None
    """Notebook to execute, relative to ``root``; its executed copy is an output."""
    root: Path
    """The folder that was frozen."""
    cwd: Path
    """Where the command starts: ``root`` or below it."""
    name: Annotated[str, Field(max_length=63)] = ""
    """What people see beside the id."""
    site: Name | None = None
    """Where it must run; any legal site if ``None``."""
    slice: Annotated[str, Field(pattern=_SLICE)] | None = None
    """Share of a GPU, such as ``1g.5gb``, or ``gpu`` for a whole one."""
    time_s: Annotated[float, Field(ge=1, le=LONGEST_S, allow_inf_nan=False)] = 3600.0
    """It is ended after so many seconds of running."""
    memory_bytes: Annotated[int, Field(ge=LEAST_MEMORY, le=MOST_MEMORY)] = 2 * 2**30
    """Memory, of each node."""
    cpus: Annotated[int, Field(ge=1, le=4096)] = 1
    """CPU cores, of each task."""
    nodes: Annotated[int, Field(ge=1, le=10_000)] = 1
    tasks: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    """MPI ranks, over all nodes."""
    count: Annotated[int, Field(ge=1, le=MOST_ELEMENTS)] = 1
    """How many equal jobs; each has its index in ``FACILITY_JOB_INDEX``."""
    after: tuple[Annotated[str, Field(pattern=_JOB)], ...] = ()
    """Jobs that must have succeeded first."""
    outputs: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Globs of what is merged into ``root``, relative to it or absolute."""
    credentials: tuple[Name, ...] = ()
    """Names of the person's credential files that the job may read."""
    environment: dict[str, str] = Field(default={}, repr=False)
    """Variables of the job, without secrets: they are recorded."""
    flags: str = ""
    """More options for the site's batch system (``slurm-job.vk.io/flags``)."""
    warnings: tuple[str, ...] = ()
    """What the person was told at submission."""

    @model_validator(mode="after")
    def _consistent(self) -> JobSpec:
        if bool(self.command) == (self.notebook is not None):
            raise ValueError("expected either a command or a notebook")
        if not self.root.is_absolute() or not self.cwd.is_absolute():
            raise ValueError("root and cwd must be absolute paths")
        if not self.cwd.is_relative_to(self.root):
            raise ValueError(f"cwd {self.cwd} is not inside root {self.root}")
        if self.tasks < self.nodes:
            raise ValueError(
                f"{self.tasks} tasks cannot fill {self.nodes} nodes: give at least "
                "one task for each node"
            )
        if any("\0" in text for text in (*self.command, *self.environment.values())):
            raise ValueError("a command holds no zero bytes")
        for name in self.environment:
            if not name or not name.isprintable() or "=" in name:
                raise ValueError(
                    f"environment: expected names of variables, got {name[:40]!r}"
                )
        return self

    @property
    def declared(self) -> tuple[str, ...]:
        """Globs of what is merged: a notebook's executed copy always is."""
        notebooks = () if self.notebook is None else (glob.escape(self.notebook),)
        return (*self.outputs, *notebooks)

    @property
    def title(self) -> str:
        """What people see: the name, or what is run."""
        return self.name or self.notebook or " ".join(self.command)


def job_spec(**values: Any) -> JobSpec:
    """Make a specification of what a person typed.

    Raises:
        JobRefusedError: it is none; one line says which value, expected and got.
    """
    try:
        return JobSpec.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        said = first["msg"].removeprefix("Value error, ")
        if first["type"] == "string_pattern_mismatch":
            is_job = first["loc"][0] == "after"
            said = f"expected {'the id of a job such as 42' if is_job else 'a name'}"
        line = f"{said[:1].lower()}{said[1:]}"
        if not where:
            raise JobRefusedError(line) from None
        got = repr(first["input"])
        shown = got if len(got) <= 60 else f"{got[:57]}..."
        raise JobRefusedError(f"{where}: {line}, got {shown}") from None
