"""What the publisher's process is told. Holds no secret, only where secrets are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from offload.cache.publishing.errors import PublishingError


class RegistrySettings(BaseModel):
    """A registry that tells of pushes, or is asked for what is on the wish list."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str
    """``https://HOST[:PORT]``."""
    credentials: Path | None = None
    """File (mode 0600) with ``USERNAME:PASSWORD``; None is what ``docker login`` left."""
    ca: Path | None = None
    """PEM file of certificates to trust besides the system's."""
    repositories: tuple[str, ...] = ()
    """Repositories that are looked at even if no event ever came."""

    @property
    def host(self) -> str:
        """How images of it are called."""
        return self.url.partition("://")[2].rstrip("/")


class PublisherSettings(BaseModel):
    """One publisher with one repository."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fqrn: str
    """Name of the repository."""
    bind: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)]
    folder: Path
    """Of the repository; what is served is in it."""
    keys: Path
    """Folder of the repository's keys."""
    state: Path
    """Queue, pins, and blobs on their way; private."""
    event_secret: Path
    """File with what registries show to be believed."""
    token_key: Path
    """File with what people's tokens are made of."""
    admins: tuple[str, ...]
    """Login names of who may remove, roll back and collect."""
    registries: tuple[RegistrySettings, ...] = ()
    wishes: tuple[str, ...] = ()
    """``HOST/NAME:PATTERN``."""
    networks: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    """Who may read."""
    architecture: str = "amd64"
    """Of an image for several machines, which is published."""
    poll_s: Annotated[float, Field(gt=0)] = 60.0
    """So often registries are asked for what no event told."""
    retention_s: Annotated[float, Field(ge=0)] = 30 * 86400.0
    """What was handed over and nobody asks for is kept for so long."""
    grace_s: Annotated[float, Field(ge=0)] = 86400.0
    """What nothing refers to is kept for so long."""
    revisions: Annotated[int, Field(ge=1)] = 20
    """How many revisions back one can roll."""
    level: Annotated[int, Field(ge=0, le=9)] = 6
    """zlib's, for what is published."""
    inbox_bytes: Annotated[int, Field(ge=0)] = 50 * 2**30
    """What may be on its way at the same time."""

    def save(self, path: Path) -> None:
        """Write it (mode 0600); readers see the old or the new one."""
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_text(self.model_dump_json(indent=1))
        draft.replace(path)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what :meth:`save` wrote.

        Raises:
            PublishingError: it is not there, or something else.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise PublishingError(f"{path}: cannot be read: {error.strerror}") from None
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, first["loc"])) or "file"
            raise PublishingError(f"{path}: {place}: {first['msg']}") from None
