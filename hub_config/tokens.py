"""One-time login links: made by the command line, consumed by the hub.

Guarantees:

* The token itself is never stored: a file is named by its SHA-256.
* A token works once, whoever asks at the same time: the file is *renamed* out of the
  way, and a rename has one winner.
* A token works until its expiry only, and only for the user it was made for.
* What a stranger sends as a token is never part of a path.

The folder ``secrets/login`` has mode 0700, its files 0600.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict, ValidationError

from facility.runtime import Runtime

LIFETIME_S = 600.0
"""How long a link works unless its maker says otherwise."""

LONGEST_TOKEN = 256
"""Longer input is no token of ours and is not even hashed."""


class _Grant(BaseModel):
    """What the file of one token says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    user: str
    expires: float
    """Seconds since the epoch."""


def mint(
    secrets_dir: Path, user: str, *, now: float, lifetime_s: float = LIFETIME_S
) -> str:
    """Make a token by which ``user`` can log in once, until ``now + lifetime_s``.

    Tokens that have expired are swept away on the way.
    """
    folder = _folder(secrets_dir)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _sweep(folder, now)
    token = secrets.token_urlsafe(32)
    grant = _Grant(user=user, expires=now + lifetime_s)
    path = folder / _name(token)
    draft = path.with_suffix(".new")
    # Written aside first: a hub that reads at this moment sees all of it or nothing.
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(grant.model_dump_json())
    draft.rename(path)
    return token


def redeem(secrets_dir: Path, token: str, *, now: float) -> str | None:
    """Consume a token: its user the first time and in time, otherwise ``None``."""
    if not 0 < len(token) <= LONGEST_TOKEN:
        return None
    path = _folder(secrets_dir) / _name(token)
    mine = path.with_suffix(f".{secrets.token_hex(8)}")
    try:
        path.rename(mine)
    except FileNotFoundError:
        return None
    try:
        grant = _Grant.model_validate_json(mine.read_bytes())
    except ValidationError:
        return None
    finally:
        mine.unlink()
    return grant.user if now < grant.expires else None


def login_url(runtime: Runtime, token: str) -> str:
    """Return the link that logs its holder in."""
    return f"{runtime.public_url}/hub/login?{urlencode({'token': token})}"


def _folder(secrets_dir: Path) -> Path:
    return secrets_dir / "login"


def _name(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _sweep(folder: Path, now: float) -> None:
    for path in folder.iterdir():
        # Somebody may redeem it meanwhile, or it may be unreadable: both are fine.
        with suppress(OSError, ValidationError):
            if _Grant.model_validate_json(path.read_bytes()).expires <= now:
                path.unlink()
