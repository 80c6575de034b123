"""Who we are at a registry: from a file of one's own, or where ``docker login`` left it.

Source: docker's config.json (``auths``, ``credHelpers``, ``credsStore``), which podman
and skopeo share; the protocol of docker-credential-helpers.
"""

from __future__ import annotations

import base64
import json
import os
import re
import stat
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from offload.snapshot.registry.address import RegistryAddress
from offload.snapshot.registry.errors import RegistryAddressError

_HELPER_TIMEOUT_S = 30
_TOKEN_USER = "<token>"  # noqa: S105 - what helpers call an identity token's user


@dataclass(frozen=True, slots=True)
class Credentials:
    """A name and its password, or an identity token in place of both."""

    username: str
    password: str = field(repr=False)
    identity_token: str | None = field(default=None, repr=False)

    @property
    def basic(self) -> str:
        """Value of the header ``Authorization``."""
        pair = f"{self.username}:{self.password}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"


def read_credentials(path: Path) -> Credentials:
    """Read ``USERNAME:PASSWORD`` from a file that nobody else can read.

    Raises:
        RegistryAddressError: there is none, others can read it, or it holds something
            else.
    """
    try:
        with path.open(encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read().strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no text"
        raise RegistryAddressError(f"{path}: cannot be read: {reason}") from None
    if stat.S_IMODE(mode) & 0o077:
        raise RegistryAddressError(
            f"{path}: expected a file that only you can read, "
            f"got mode {stat.S_IMODE(mode):04o}; run: chmod 600 {path}"
        )
    username, colon, password = text.partition(":")
    if not colon or not username or "\n" in text:
        raise RegistryAddressError(f"{path}: expected one line USERNAME:PASSWORD")
    return Credentials(username, password)


def find_credentials(
    address: RegistryAddress, environment: Mapping[str, str] = os.environ
) -> Credentials | None:
    """Return what ``docker login`` or ``podman login`` left for a registry, if any."""
    for path in _configurations(environment):
        try:
            config = json.loads(path.read_bytes())
        except (OSError, ValueError, RecursionError):
            continue
        if isinstance(config, dict):
            found = _in_configuration(config, address)
            if found is not None:
                return found
    return None


def _configurations(environment: Mapping[str, str]) -> Iterator[Path]:
    if "REGISTRY_AUTH_FILE" in environment:
        yield Path(environment["REGISTRY_AUTH_FILE"])
    if "XDG_RUNTIME_DIR" in environment:
        yield Path(environment["XDG_RUNTIME_DIR"], "containers/auth.json")
    folder = environment.get("DOCKER_CONFIG")
    yield (Path(folder) if folder else Path.home() / ".docker") / "config.json"


def _in_configuration(
    config: dict[str, object], address: RegistryAddress
) -> Credentials | None:
    helpers, auths = config.get("credHelpers"), config.get("auths")
    helper = helpers.get(address.host) if isinstance(helpers, dict) else None
    helper = helper or config.get("credsStore")
    if isinstance(helper, str):
        found = _ask_helper(helper, address.host)
        if found is not None:
            return found
    if not isinstance(auths, dict):
        return None
    names = address.name.split("/")
    candidates = [
        *("/".join([address.host, *names[:n]]) for n in range(len(names), -1, -1)),
        f"{address.scheme}://{address.host}",
    ]
    filed = {str(key).rstrip("/"): value for key, value in auths.items()}
    for candidate in candidates:
        entry = filed.get(candidate)
        if isinstance(entry, dict):
            return _entry(entry)
    return None


def _entry(entry: dict[str, object]) -> Credentials | None:
    username, password = entry.get("username"), entry.get("password")
    encoded, token = entry.get("auth"), entry.get("identitytoken")
    if isinstance(encoded, str):
        try:
            pair = base64.b64decode(encoded).decode()
        except ValueError:
            return None
        username, _, password = pair.rstrip("\0").partition(":")
    identity = token if isinstance(token, str) and token else None
    if not isinstance(username, str) or not isinstance(password, str):
        return None
    return Credentials(username, password, identity) if username or identity else None


def _ask_helper(name: str, host: str) -> Credentials | None:
    if not re.fullmatch(r"[\w.-]+", name):
        return None
    try:
        answer = subprocess.run(
            [f"docker-credential-{name}", "get"],
            input=host.encode(),
            capture_output=True,
            check=True,
            timeout=_HELPER_TIMEOUT_S,
        )
        data = json.loads(answer.stdout)
        username, secret = data["Username"], data["Secret"]
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError):
        return None
    if not isinstance(username, str) or not isinstance(secret, str):
        return None
    token = secret if username == _TOKEN_USER else None
    return Credentials(username, secret, token)
