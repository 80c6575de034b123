"""What a site's administrator says of a repository."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, ByteSize, ConfigDict, Field, field_validator

DIRECT = "DIRECT"
"""In place of a proxy: none."""

_FQRN = re.compile(r"[a-z0-9]([a-z0-9.-]{0,126}[a-z0-9])?")


class ReportSettings(BaseModel):
    """Who is told what jobs read, so that the next cold start fetches it in one go."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str
    """Of the publisher: ``https://HOST[:PORT]``; http only on this machine."""
    token: Path
    """File (mode 0600) with what it is shown."""

    @field_validator("url")
    @classmethod
    def _url(cls, url: str) -> str:
        # Late: most sites tell nobody, and each mount would load it.
        from offload.snapshot.registry.address import is_loopback

        parts = urlsplit(_checked(url))
        if parts.scheme == "http" and not is_loopback(parts.netloc):
            raise ValueError("a token would travel where others can read it; use https")
        return url.rstrip("/")


class RepositorySettings(BaseModel):
    """A repository, and how it is reached and kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fqrn: str
    """Its name, such as ``environments.example.org``."""
    urls: Annotated[tuple[str, ...], Field(min_length=1)]
    """Where it is, ``http://HOST/cvmfs/FQRN``; the first that works is used."""
    proxies: tuple[str, ...] = (DIRECT,)
    """The site's squids, ``http://HOST:PORT``, or ``DIRECT``; in order."""
    master_keys: Annotated[tuple[Path, ...], Field(min_length=1)]
    """Files (PEM) with the public keys that may sign its whitelist."""
    quota_bytes: ByteSize | None = None
    """What the cache may take, such as ``50GB``; empty leaves it to the disk."""
    refresh_s: Annotated[float, Field(ge=0)] = 60.0
    """For so long a revision is taken as the newest."""
    connections: Annotated[int, Field(ge=1, le=64)] = 16
    """Transfers at the same time."""
    verify_s: Annotated[float, Field(ge=0)] = 86400.0
    """So often all bytes of a tree in use are read and checked; sizes and times of its
    files are looked at before every use."""

    report: ReportSettings | None = None
    """Whom to tell what jobs read; nobody if empty."""

    @field_validator("fqrn")
    @classmethod
    def _name(cls, fqrn: str) -> str:
        # It becomes the name of a folder.
        if _FQRN.fullmatch(fqrn) is None or ".." in fqrn:
            raise ValueError(
                f"expected a name such as images.example.org, got {fqrn!r}"
            )
        return fqrn

    @field_validator("urls")
    @classmethod
    def _urls(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_checked(url).rstrip("/") for url in urls)

    @field_validator("proxies")
    @classmethod
    def _proxies(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(p if p == DIRECT else _checked(p) for p in proxies) or (DIRECT,)


def _checked(url: str) -> str:
    parts = urlsplit(url)
    # A port that is none raises what we would.
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.port == 0:
        raise ValueError(f"expected http://HOST..., got {url!r}")
    return url


def load_settings(path: Path) -> RepositorySettings:
    """Read a YAML file with these keys; relative paths of keys count from its folder.

    Raises:
        UsageError: all that is wrong with it, each problem with line and column.
    """
    # Late: who has settings already starts sooner.
    from facility.settings_file import load_settings_file

    settings = load_settings_file(path, RepositorySettings)
    keys = tuple(path.parent / key for key in settings.master_keys)
    report = settings.report
    if report is not None:
        report = report.model_copy(update={"token": path.parent / report.token})
    return settings.model_copy(update={"master_keys": keys, "report": report})
