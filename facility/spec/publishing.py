"""Images that are published to a repository in the format of CVMFS."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from facility.spec.model import ADDRESS_PATTERN, Model, PositiveCount
from facility.spec.paths import FilePath
from facility.spec.units import ByteSize, Seconds

FQRN_PATTERN = r"^[a-z0-9][a-z0-9-]{0,30}(\.[a-z0-9][a-z0-9-]{0,30}){1,4}$"
REGISTRY_PATTERN = r"^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?/?$"
REPOSITORY_PATTERN = r"^[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$"
IMAGE_PATTERN = (
    r"^[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+"
    r":[A-Za-z0-9_*?][A-Za-z0-9._*?-]{0,127}$"
)
NETWORK_PATTERN = r"^[0-9A-Fa-f:.]{2,45}/[0-9]{1,3}$"

INDEX_PATTERN = r"^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~+-]+)*/?$"

ImagePattern = Annotated[str, Field(pattern=IMAGE_PATTERN)]
"""``HOST/NAME:TAG``; ``*`` and ``?`` in the tag stand for any characters."""


class ImageRegistry(Model):
    """A registry that tells of pushes, or has what is on the wish list."""

    url: Annotated[str, Field(pattern=REGISTRY_PATTERN)]
    """``https://HOST[:PORT]``."""
    credentials: FilePath | None = None
    """File (mode 0600) with ``USERNAME:PASSWORD``; what ``docker login`` left if
    empty."""
    ca: FilePath | None = None
    """Certificates (PEM) to trust besides the system's."""
    repositories: tuple[Annotated[str, Field(pattern=REPOSITORY_PATTERN)], ...] = ()
    """Repositories that are looked at though no event of them ever came."""


class Publisher(Model):
    """What makes pushed images visible to every site."""

    fqrn: Annotated[str, Field(pattern=FQRN_PATTERN)] = "images.analysis.facility"
    """Name of the repository: sites mount it as ``/cvmfs/NAME``."""
    bind: Annotated[str, Field(pattern=ADDRESS_PATTERN)] = "127.0.0.1"
    """Address to listen on."""
    port: Annotated[int, Field(ge=1, le=65535)] = 8410
    """Port to listen on."""
    networks: tuple[Annotated[str, Field(pattern=NETWORK_PATTERN)], ...] = (
        "127.0.0.0/8",
        "::1/128",
    )
    """Who may read: the networks of the sites' squids."""
    folder: FilePath | None = None
    """Where the repository is; below the facility's state if empty."""
    keys: FilePath | None = None
    """Folder with the repository's keys; made at the first start if empty."""
    event_secret: FilePath | None = None
    """File with what registries show to be believed; made at the first start if
    empty."""
    public_indexes: tuple[Annotated[str, Field(pattern=INDEX_PATTERN)], ...] = (
        "https://pypi.org/simple",
    )
    """Package indexes that anybody may read: what they give out of people's
    environments is published, and nothing else."""
    registries: tuple[ImageRegistry, ...] = ()
    """Registries, besides that of ``offload.store``."""
    poll: Annotated[Seconds, Field(gt=0)] = 60
    """So often registries are asked for what no event has told."""
    retention: Seconds = 30 * 86400
    """Environments of jobs that nobody asks for any more are kept for so long."""
    grace: Seconds = 86400
    """What nothing refers to any more is kept for so long."""
    revisions: PositiveCount = 20
    """How many revisions back one can roll."""
    compression: Annotated[int, Field(ge=0, le=9)] = 6
    """Level of zlib for what is published."""
    inbox: ByteSize = 50 * 2**30
    """What may be on its way here at the same time."""
