"""What our plugins can do beyond interLink; below ``/facility/v1``.

A plugin of somebody else answers 404 there and is driven by interLink's calls alone.
"""

from __future__ import annotations

from typing import Final

from pydantic import Field

from offload.interlink.messages import PodStatus
from offload.interlink.wire import Items, Mapping, Message

PREFIX: Final = "/facility/v1"


class Blob(Message):
    """Bytes by their digest (``sha256:...``)."""

    digest: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")
    size: int = Field(ge=0)
    is_public: bool = False
    """Whether a repository of published environments may hold what is in it."""


class BlobsWanted(Message):
    """Blobs that somebody is about to send."""

    blobs: Items[Blob] = ()
    image: str = Field("", pattern=r"^(sha256:[0-9a-f]{64})?$")
    """Digest of the published image that the public ones make up; of none if empty."""


class MissingBlob(Message):
    """A blob that is not there, or not whole."""

    digest: str
    offset: int = 0
    """Bytes of it that have arrived."""
    is_coming: bool = False
    """Whether the site is getting it from a repository, and it need not be sent if one
    can wait."""


class MissingBlobs(Message):
    """Which of the blobs asked about have to be sent."""

    missing: Items[MissingBlob] = ()


class Changes(Message):
    """Pods whose status changed after a sequence number."""

    sequence: int
    """To be given as ``since`` the next time."""
    pods: Items[PodStatus] = ()
    gone: Items[str] = ()
    """UIDs of deleted pods of which nothing runs any more: the deletion is confirmed.
    Their logs and outputs are still there."""


class Received(Message):
    """The outputs with this digest are safe at home."""

    digest: str


class Interpreter(Message):
    """A Python of the site."""

    path: str
    version: str


class SchedulerInfo(Message):
    """The batch system of a site."""

    name: str
    version: str = ""


class Limits(Message):
    """What the site's scheduler takes; ``None`` where there is no limit."""

    max_array_size: int | None = None
    max_submit_jobs: int | None = None
    max_time_s: float | None = None
    """Of one pod."""
    max_memory_bytes: int | None = None
    """Of one pod."""


class SystemInfo(Message):
    """What a site is: what the facility needs to choose it and to refuse early."""

    version: str
    """Of the plugin."""
    site: str = ""
    executors: Items[str] = ()
    runtime: str = ""
    """How containers are made: ``apptainer``, ``bubblewrap`` or ``none``."""
    architecture: str = ""
    libc: str = ""
    libc_version: str = ""
    pythons: Items[Interpreter] = ()
    slices: Mapping[int] = Field(default_factory=dict)
    """Devices by resource name (``nvidia.com/mig-1g.5gb``)."""
    free_bytes: int = 0
    """Room in the site's work area."""
    limits: Limits = Field(default_factory=Limits)
    scheduler: SchedulerInfo | None = None
    repository: str = ""
    """Name (FQRN) of the repository that it reads published environments from."""
