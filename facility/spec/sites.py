"""Where else jobs can run, and what travels there and back."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, model_validator

from facility.spec.consistency import contradictions_of_site, refuse
from facility.spec.model import (
    ADDRESS_PATTERN,
    GIB,
    Model,
    Name,
    UserName,
)
from facility.spec.publishing import FQRN_PATTERN
from facility.spec.units import ByteSize, Seconds

HOST_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,252}$"
"""Never with a dash in front: it must not be taken for an option."""

PUBLIC_KEY_PATTERN = (
    r"^(ssh|ecdsa|sk-ssh|sk-ecdsa)-[a-z0-9@.-]+ [A-Za-z0-9+/]+=*( .*)?$"
)

RESOURCE_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,62}$"
SliceName = Annotated[str, Field(pattern=RESOURCE_PATTERN)]
"""What people ask for with ``--slice``: a MIG profile such as ``1g.5gb``."""

HOME_PATH_PATTERN = r"^~?/."
ABSOLUTE_PATTERN = r"^/."
URL_PATTERN = r"^https?://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._~/-]*)?$"
STORE_PATTERN = r"^https?://[A-Za-z0-9.:\[\]-]+(/[a-z0-9._/-]*)?$"
FOLDER_PATTERN = (
    r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}(/[A-Za-z0-9_][A-Za-z0-9_.-]{0,99})*$"
)


class SiteKind(StrEnum):
    """How jobs run at a site."""

    PROCESS = "process"
    SLURM = "slurm"


class SiteKey(Model):
    """A key with which the site dials in, and whose jobs come and go through it."""

    key: Annotated[str, Field(pattern=PUBLIC_KEY_PATTERN)]
    """Public key as in ``authorized_keys``, without options."""
    person: UserName | None = None
    """Login name here; who runs the facility if empty."""
    expires: date | None = None
    """Last day (UTC) on which it is accepted; jobs wait from then on."""


class SiteReport(Model):
    """Who is told what jobs read of environments."""

    url: Annotated[str, Field(pattern=URL_PATTERN)]
    """Of the publisher."""
    token: Annotated[str, Field(pattern=ABSOLUTE_PATTERN)]
    """File there (mode 0600) with what it is shown."""


class SiteRepository(Model):
    """The repository of published environments, as a site has it."""

    fqrn: Annotated[str, Field(pattern=FQRN_PATTERN)]
    """Its name."""
    mount: Annotated[str, Field(pattern=ABSOLUTE_PATTERN)] | None = None
    """Where the site mounts it, on its login and compute nodes: ``/cvmfs/FQRN``."""
    urls: tuple[Annotated[str, Field(pattern=URL_PATTERN)], ...] = ()
    """Where it is read from if it is not mounted: ``http://HOST/cvmfs/FQRN``."""
    proxies: tuple[Annotated[str, Field(pattern=URL_PATTERN)], ...] = ()
    """The site's squids, in order."""
    keys: tuple[Annotated[str, Field(pattern=ABSOLUTE_PATTERN)], ...] = ()
    """Files (PEM) there with the public keys that may sign its whitelist."""
    quota: ByteSize | None = None
    """What of it may be kept there; empty leaves it to the disk."""
    lazy: Literal["auto", "never"] = "auto"
    """Whether the first jobs of an environment may read it while it still comes."""
    report: SiteReport | None = None
    """Whom the site tells what jobs read; nobody if empty."""


class Site(Model):
    """A place where jobs can run."""

    name: Name
    """How people name it."""
    kind: SiteKind = SiteKind.PROCESS
    """``process`` or ``slurm``."""
    description: str = ""
    """One sentence for people who choose."""
    host: Annotated[str, Field(pattern=HOST_PATTERN)] | None = None
    """Login node reached by SSH, with each person's own keys; none means this machine,
    or a site that dials in."""
    user: Annotated[str, Field(min_length=1)] | None = None
    """Login name there; what ``~/.ssh/config`` or the own name says if empty."""
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """SSH port there."""
    identity: Annotated[str, Field(pattern=HOME_PATH_PATTERN)] | None = None
    """Private key, with ``-cert.pub`` beside it if there is a certificate: an absolute
    path, or below ``~``, each person's home. What ``ssh`` would use if empty."""
    known_hosts: Annotated[str, Field(pattern=HOME_PATH_PATTERN)] | None = None
    """Host keys to trust: a path likewise. What ``ssh`` would trust if empty."""
    keys: tuple[SiteKey, ...] = ()
    """Keys with which the site dials in; then there is no ``host``."""
    command: Annotated[str, Field(min_length=1)] = "offload-plugin"
    """How the plugin is started there: words for the login shell."""
    config: str | None = None
    """The site's own ``site.yaml``, a path there; if empty one is written from here."""
    work: str | None = None
    """Folder there for what jobs need and leave, on a file system that its compute
    nodes share; the plugin's default if empty."""
    partition: str | None = None
    """Slurm partition; the scheduler's default if empty."""
    flags: tuple[str, ...] = ()
    """Further flags of ``sbatch`` for each job, such as ``--account=physics``."""
    repository: SiteRepository | None = None
    """Where environments that were published come from; all are sent if empty."""
    slices: dict[SliceName, str] = {}  # noqa: RUF012 - pydantic copies it
    """Slices that jobs may ask for, each with its Slurm gres: ``gpu:a100_1g.5gb``."""

    @model_validator(mode="after")
    def _consistent(self) -> Site:
        refuse(contradictions_of_site(self))
        return self

    @property
    def is_remote(self) -> bool:
        """Whether it is another machine, reached by SSH one way or the other."""
        return self.host is not None or bool(self.keys)


class DialIn(Model):
    """Where sites dial in by SSH; nothing listens unless a site has ``keys``."""

    bind: Annotated[str, Field(pattern=ADDRESS_PATTERN)] = "0.0.0.0"  # noqa: S104 - it is for machines elsewhere; only known keys get in
    """Address to listen on."""
    port: Annotated[int, Field(ge=1, le=65535)] = 2222
    """Port to listen on."""


class Offload(Model):
    """What leaves this machine, and what comes back."""

    store: Annotated[str, Field(pattern=STORE_PATTERN)] | None = None
    """OCI registry for snapshots, with the repository; a folder of each person's if
    empty."""
    jobs: Annotated[str, Field(pattern=FOLDER_PATTERN)] = "jobs"
    """Folder below each person's home where outputs and logs arrive."""
    returned: ByteSize = 100 * GIB
    """What one execution of a job may bring home: its outputs, and its log. What is
    more waits at the site, or arrives packed, and the job says so."""
    retention: Seconds = 30 * 86400
    """Snapshots that no job needs are kept for so long."""
    dial_in: DialIn = DialIn()
    """Where sites dial in."""
