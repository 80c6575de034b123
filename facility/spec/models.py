"""``facility.yaml`` as typed, frozen models. An empty file is a whole facility."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, model_validator

from facility.spec.consistency import (
    contradictions_of_facility,
    contradictions_of_hub,
    refuse,
)
from facility.spec.model import (
    ADDRESS_PATTERN,
    GIB,
    Count,
    Model,
    Name,
    PositiveCount,
    UserName,
)
from facility.spec.paths import FilePath
from facility.spec.publishing import ImagePattern, Publisher
from facility.spec.sites import Offload, Site
from facility.spec.units import ByteSize, Seconds


class Resources(Model):
    """Cores and memory of one process (a notebook server or a Dask worker)."""

    cores: PositiveCount = 1
    """CPU cores."""
    memory: ByteSize = 2 * GIB
    """Memory in bytes; ``2 GiB`` is understood."""


class Ceiling(Model):
    """The most that may be in use at once. A missing number is no limit."""

    clusters: Count | None = None
    """Dask clusters."""
    workers: Count | None = None
    """Dask workers."""
    cores: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)] | None = None
    """CPU cores, of workers."""
    memory: ByteSize | None = None
    """Memory in bytes, of workers."""


class Ceilings(Model):
    """What one worker, one cluster, one user and the whole facility may use."""

    worker: Resources = Resources(cores=4, memory=8 * GIB)
    """The largest single worker."""
    cluster: Ceiling = Ceiling(workers=20)
    """One cluster."""
    user: Ceiling = Ceiling(clusters=5, workers=40)
    """One user, over all his clusters."""
    facility: Ceiling = Ceiling()
    """All users together."""


class Slice(Model):
    """A share of a GPU: a real MIG profile, or a virtual slice of CPU and memory."""

    name: Name
    """How profiles refer to it."""
    profile: str | None = None
    """MIG profile such as ``1g.5gb``; none for a virtual slice."""
    count: PositiveCount = 1
    """How many of them there are."""
    cores: PositiveCount = 1
    """CPU cores that belong to it."""
    memory: ByteSize = 2 * GIB
    """Host memory that belongs to it."""


class Profile(Model):
    """What a person chooses: the size of a server and of one worker."""

    name: Name
    """Short name, used in options and on the command line."""
    title: str = ""
    """What the person reads; the name if empty."""
    description: str = ""
    """One sentence below the title."""
    server: Resources = Resources()
    """The notebook server."""
    worker: Resources = Resources()
    """One Dask worker."""
    slice: Name | None = None
    """Name of the slice that the server gets, if any."""
    environment: FilePath | None = None
    """Prefix of the Python environment of workers; the facility's own if empty."""
    groups: tuple[Name, ...] = ()
    """Groups that may choose it; everybody if empty."""


class Group(Model):
    """People who share rights and a ceiling of their own."""

    users: tuple[UserName, ...] = ()
    """Login names."""
    ceiling: Ceiling | None = None
    """Replaces ``gateway.ceilings.user`` for each member."""


class Users(Model):
    """Who may log in."""

    allowed: tuple[UserName, ...] = ()
    """Login names; empty means the person who runs the facility."""
    admins: tuple[UserName, ...] = ()
    """Who may see everybody's servers."""


class AuthenticatorKind(StrEnum):
    """How a person proves who he is."""

    ONE_PERSON = "one-person"
    PAM = "pam"
    OAUTH = "oauth"


class OAuth(Model):
    """An identity provider that speaks OpenID Connect."""

    authorize_url: str
    """Authorization endpoint."""
    token_url: str
    """Token endpoint."""
    userdata_url: str
    """User information endpoint."""
    client_id: str
    """Our name there."""
    client_secret_file: FilePath
    """File (mode 0600) with the secret: never in this file."""
    username_claim: str = "preferred_username"
    """Which claim is the login name."""
    scope: tuple[str, ...] = ("openid", "profile", "email")
    """Scopes asked for."""


class Hub(Model):
    """JupyterHub."""

    authenticator: AuthenticatorKind = AuthenticatorKind.ONE_PERSON
    """``one-person`` (a link with a one-time token), ``pam`` or ``oauth``."""
    oauth: OAuth | None = None
    """The identity provider, for ``oauth``."""
    bind: Annotated[str, Field(pattern=ADDRESS_PATTERN)] = "127.0.0.1"
    """Address that the proxy listens on. ``one-person`` requires loopback."""
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    """Port; 0 takes a free one and keeps it."""
    tls_certificate: FilePath | None = None
    """Certificate chain; required beyond loopback."""
    tls_key: FilePath | None = None
    """Its private key."""
    idle_timeout: Seconds = 8 * 3600
    """A notebook server unused for so long is stopped; 0 never."""
    start_timeout: Seconds = 120
    """A notebook server that is not ready by then has failed."""

    @model_validator(mode="after")
    def _consistent(self) -> Hub:
        refuse(contradictions_of_hub(self))
        return self


class Gateway(Model):
    """dask-gateway."""

    ceilings: Ceilings = Ceilings()
    """What may be in use at once."""
    idle_timeout: Seconds = 30 * 60
    """A cluster without work for so long ends; 0 never."""
    orphan_timeout: Seconds = 30
    """A cluster whose notebook is gone ends after so long, unless detached."""
    longest_detached: Seconds = 24 * 3600
    """The longest time for which a cluster may outlive its notebook."""
    adaptive_period: Seconds = 1
    """Time between two decisions of adaptive scaling."""
    scheduler_memory: ByteSize = GIB
    """Memory of a cluster's scheduler."""
    refuse_other_environments: bool = True
    """Refuse workers whose environment is not the notebook's."""


class Storage(Model):
    """Where things are kept. Empty means the XDG directory of the purpose."""

    state: FilePath | None = None
    """Databases, secrets and logs of the facility."""
    cache: FilePath | None = None
    """What can be made again: samples, columns, environments."""
    log_size: ByteSize = 10 * 2**20
    """A log file is rotated at this size."""
    log_count: PositiveCount = 3
    """How many rotated log files are kept."""


class Facility(Model):
    """The whole file."""

    version: Literal[1] = 1
    """Version of this format."""
    name: Name = "analysis-facility"
    """What people call it."""
    users: Users = Users()
    """Who may log in."""
    groups: dict[Name, Group] = {}  # noqa: RUF012 - pydantic copies it
    """Groups by name."""
    slices: tuple[Slice, ...] = ()
    """Shares of GPUs, real or virtual."""
    profiles: Annotated[tuple[Profile, ...], Field(min_length=1)] = (
        Profile(name="default", title="One core", description="1 core, 2 GiB"),
    )
    """What people choose from; the first is the default."""
    hub: Hub = Hub()
    """JupyterHub."""
    gateway: Gateway = Gateway()
    """dask-gateway."""
    sites: tuple[Site, ...] = ()
    """Where else jobs can run; this machine is the site ``here`` in any case."""
    offload: Offload = Offload()
    """What leaves this machine, and what comes back."""
    publisher: Publisher | None = None
    """What makes pushed images visible to every site; nothing is published if empty."""
    images: tuple[ImagePattern, ...] = ()
    """Images of others that are published, ``HOST/NAME:TAG`` with ``*`` and ``?``."""
    storage: Storage = Storage()
    """Where things are kept."""

    @model_validator(mode="after")
    def _references(self) -> Facility:
        refuse(contradictions_of_facility(self))
        return self

    def profile(self, name: str | None = None) -> Profile:
        """Return the profile of that name, or the default one.

        Raises:
            KeyError: there is no profile of that name.
        """
        if name is None:
            return self.profiles[0]
        for profile in self.profiles:
            if profile.name == name:
                return profile
        raise KeyError(name)

    def groups_of(self, user: str) -> frozenset[str]:
        """Return the names of the groups that the user belongs to."""
        return frozenset(n for n, g in self.groups.items() if user in g.users)

    def profiles_of(self, user: str) -> tuple[Profile, ...]:
        """Return the profiles that the user may choose, in the file's order."""
        groups = self.groups_of(user)
        return tuple(
            p for p in self.profiles if not p.groups or groups.intersection(p.groups)
        )

    def ceiling_of(self, user: str) -> Ceiling:
        """Return what the user may use over all his clusters.

        The first of his groups (in the file's order) that has a ceiling decides;
        otherwise ``gateway.ceilings.user``.
        """
        for group in self.groups.values():
            if user in group.users and group.ceiling is not None:
                return group.ceiling
        return self.gateway.ceilings.user
