"""Where an OCI registry keeps our images, as a URL."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from offload.snapshot.registry.errors import RegistryAddressError

_NAME = re.compile(
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
)
"""Distribution Specification 1.1, "Pulling manifests"."""


@dataclass(frozen=True, slots=True)
class RegistryAddress:
    """One repository of one registry."""

    scheme: str
    host: str
    """With the port if there is one, as credentials are filed under."""
    name: str
    """Of the repository, such as ``group/snapshots``."""

    @classmethod
    def parse(cls, url: str) -> RegistryAddress:
        """Read ``https://HOST[:PORT]/NAME``, or ``http:`` for what needs no secrecy.

        Raises:
            RegistryAddressError: it is no such URL.
        """
        wanted = "expected the URL of a repository in an OCI registry"
        try:
            parts = urlsplit(url)
            host = parts.hostname
            port = parts.port
        except ValueError as error:
            raise RegistryAddressError(f"{wanted}, got {url!r}: {error}") from None
        if parts.username is not None or parts.password is not None:
            # Without the URL: it holds the password.
            raise RegistryAddressError(
                f"{wanted} without user and password, which belong into a file"
            )
        name = parts.path.strip("/")
        is_plain = not parts.query and not parts.fragment
        if parts.scheme not in {"http", "https"} or not host or not is_plain:
            raise RegistryAddressError(f"{wanted}, https://HOST/NAME, got {url!r}")
        if not _NAME.fullmatch(name):
            raise RegistryAddressError(
                f"{url}: expected the name of a repository in lower case after the "
                f"host, such as group/snapshots, got {name!r}"
            )
        shown = f"[{host}]" if ":" in host else host
        return cls(parts.scheme, f"{shown}:{port}" if port else shown, name)

    @property
    def is_private(self) -> bool:
        """Whether nobody on the way can listen: TLS, or this very machine."""
        return self.scheme == "https" or is_loopback(self.host)

    @property
    def root(self) -> str:
        """Where the repository's resources are."""
        return f"{self.scheme}://{self.host}/v2/{self.name}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}/{self.name}"


def is_loopback(host: str) -> bool:
    """Whether a host, perhaps with a port, is this very machine."""
    bare = urlsplit(f"//{host}").hostname or ""
    try:
        return ipaddress.ip_address(bare).is_loopback
    except ValueError:
        return bare == "localhost"
