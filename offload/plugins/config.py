"""``site.yaml``: what a site's administrator tells the plugin. All of it has defaults."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic import ByteSize as ByteCount

from facility.settings_file import load_settings_file
from facility.spec.diagnostics import SpecError
from facility.spec.units import ByteSize, Seconds
from offload.cache.reading.settings import ReportSettings, RepositorySettings
from offload.plugins.errors import ConfigError

DAY_S = 86400.0


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ExecutorKind(StrEnum):
    """What runs pods."""

    PROCESS = "process"
    SLURM = "slurm"


class RuntimeKind(StrEnum):
    """How containers are made; ``auto`` takes the first that works."""

    AUTO = "auto"
    APPTAINER = "apptainer"
    BUBBLEWRAP = "bubblewrap"
    NONE = "none"


class SlurmConfig(_Section):
    """How Slurm is asked."""

    partition: str | None = None
    """Partition for jobs that name none."""
    flags: tuple[str, ...] = ()
    """Further flags of ``sbatch`` for each job, such as ``--account=physics``."""
    commands: Path | None = None
    """Folder of ``sbatch`` and others; ``PATH`` if empty."""
    tick: Seconds = 5.0
    """How often the queue is asked, once for all jobs."""
    timeout: Seconds = 60.0
    """How long one call of a client may take."""
    time_margin: Seconds = 120.0
    """Added to a pod's deadline for its Slurm job: to put files in place and to pack."""
    requeue: bool = True
    """Whether Slurm may put a job back into its queue (preemption, node failure)."""


class ProcessConfig(_Section):
    """How much of this machine pods may use; what does not fit waits."""

    cpus: Annotated[float, Field(gt=0)] | None = None
    """All of them if empty."""
    memory: ByteSize | None = None
    """All of it if empty."""
    devices: dict[str, tuple[str, ...]] = {}
    """Slices by name, each with the devices for ``CUDA_VISIBLE_DEVICES``."""


class LimitsConfig(_Section):
    """What the plugin never exceeds; what is empty is asked of the scheduler."""

    max_array_size: Annotated[int, Field(ge=1)] | None = None
    """Slurm's ``MaxArraySize``."""
    max_submit_jobs: Annotated[int, Field(ge=1)] | None = None
    """Jobs in the queue at once; found out by trying if empty."""
    cpus: Annotated[int, Field(ge=1)] | None = None
    """CPUs of one pod."""
    memory: ByteSize | None = None
    """Memory of one pod."""
    time: Seconds | None = None
    """Deadline of one pod; pods that ask for more are refused."""


class RetentionConfig(_Section):
    """How long things outlive their pod."""

    logs: Seconds = 30 * DAY_S
    """Logs and the record, after the pod's end."""
    outputs: Seconds = 30 * DAY_S
    """Outputs that nobody has fetched; those that are safe at home go at once."""


class LazyKind(StrEnum):
    """When jobs read published environments lazily (FUSE)."""

    AUTO = "auto"
    """Where the nodes can, and it is sooner."""
    NEVER = "never"


class RepositoryConfig(_Section):
    """The repository of published environments: what it has need not be sent here.

    Either it is mounted, on the plugin's machine and on every compute node, or it is read
    from ``urls`` and kept in ``work``.
    """

    fqrn: str
    """Its name, such as ``environments.example.org``."""
    mount: Path | None = None
    """Where it is mounted, such as ``/cvmfs/environments.example.org``."""
    urls: tuple[str, ...] = ()
    """Where it is, ``http://HOST/cvmfs/FQRN``; the first that answers is used."""
    proxies: tuple[str, ...] = ()
    """The site's squids, ``http://HOST:PORT``, in order; none is asked without."""
    keys: tuple[Path, ...] = ()
    """Files (PEM) with the public keys that may sign its whitelist."""
    quota: ByteSize | None = None
    """What of it may be kept; empty leaves it to the disk."""
    lazy: LazyKind = LazyKind.AUTO
    """Whether the first jobs of an environment may read it while it still comes."""
    report: ReportSettings | None = None
    """Whom to tell what jobs read, so that the next cold start is quicker."""

    @field_validator("mount", "keys")
    @classmethod
    def _absolute(cls, given: Path | tuple[Path, ...] | None) -> Any:
        for path in (given,) if isinstance(given, Path) else given or ():
            if not path.is_absolute():
                raise ValueError(f"expected an absolute path, got '{path}'")
        return given

    @model_validator(mode="after")
    def _reachable(self) -> RepositoryConfig:
        if self.mount is None and not self.urls:
            raise ValueError("expected 'mount', or 'urls' and 'keys', got neither")
        if self.urls:
            if not self.keys:
                raise ValueError("urls: expected 'keys' too, got none")
            try:
                self.reading()
            except ValidationError as error:
                first = error.errors(include_url=False)[0]
                where = ".".join(map(str, first["loc"]))
                said = first["msg"].removeprefix("Value error, ")
                raise ValueError(f"{where}: {said}") from None
        return self

    @property
    def is_lazy(self) -> bool:
        """Whether jobs may read it lazily. Where it is mounted they need not."""
        return bool(self.urls) and self.mount is None and self.lazy is LazyKind.AUTO

    def reading(self) -> RepositorySettings | None:
        """Return how it is read over the network; None if it is only mounted."""
        if not self.urls:
            return None
        return RepositorySettings(
            fqrn=self.fqrn,
            urls=self.urls,
            proxies=self.proxies or ("DIRECT",),
            master_keys=self.keys,
            quota_bytes=None if self.quota is None else ByteCount(self.quota),
            report=self.report,
        )


def _default_work() -> Path:
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state"
    return Path(base) / "analysis-facility/site"


class PluginConfig(_Section):
    """A site, as its plugin sees it."""

    site: str = "here"
    """Name, for messages."""
    executor: ExecutorKind = ExecutorKind.PROCESS
    work: Path = Field(default_factory=_default_work)
    """Folder for what jobs need and leave; on a cluster, shared with its nodes."""
    socket: Path | None = None
    """Where the plugin listens, mode 0600; ``plugin.sock`` in ``work`` if empty."""
    python: Path | None = None
    """Python of the compute nodes, with this package; the plugin's own if empty."""
    runtime: RuntimeKind = RuntimeKind.AUTO
    binds: tuple[str, ...] = ()
    """Folders of the site that pods see, read-only, such as ``/cvmfs``."""
    scratch: str = ""
    """Disk of a compute node for ``/tmp`` of pods; its ``TMPDIR`` if empty."""
    slices: dict[str, str] = {}
    """Slices (``1g.5gb`` or ``nvidia.com/...``), each with its Slurm gres."""
    slurm: SlurmConfig = SlurmConfig()
    process: ProcessConfig = ProcessConfig()
    limits: LimitsConfig = LimitsConfig()
    retention: RetentionConfig = RetentionConfig()
    repository: RepositoryConfig | None = None
    """Where published environments come from; all of them are sent if empty."""

    @field_validator("work", "socket", "python")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        if path is None:
            return None
        path = path.expanduser()
        if not path.is_absolute():
            raise ValueError(f"expected an absolute path, got '{path}'")
        return path

    @property
    def socket_path(self) -> Path:
        return self.socket or self.work / "plugin.sock"


def load_config(path: Path) -> PluginConfig:
    """Read ``site.yaml``.

    Raises:
        ConfigError: all that is wrong with it, each problem with line and column.
    """
    try:
        return load_settings_file(path, PluginConfig)
    except SpecError as error:
        raise ConfigError(str(error)) from None
