"""Tokens by which the publisher knows its people. Nothing is stored: each is computed.

``NAME.HEX``, HEX the HMAC-SHA256 of the name under the publisher's key.
"""

from __future__ import annotations

import hmac
import os
import pwd
import re
from pathlib import Path

from offload.cache.publishing.errors import RefusedEventError

_NAME = re.compile(r"[a-z_][a-z0-9_.-]{0,31}")


def token_of(name: str, key: str) -> str:
    """Return the token of a person.

    Args:
        name: login name.
        key: the publisher's secret.
    """
    return f"{name}.{_mac(name, key)}"


def read_token(path: Path) -> str | None:
    """Return the token in a file; in a folder, that in the file of our own name.

    None if there is none that we may read.
    """
    try:
        if path.is_dir():
            path = path / pwd.getpwuid(os.geteuid()).pw_name
        return path.read_text().strip() or None
    except (OSError, KeyError, ValueError):
        return None


def person_of(header: str | None, key: str) -> str:
    """Return whose token ``Authorization: Bearer TOKEN`` holds.

    Raises:
        RefusedEventError: nobody's. Tokens are compared in constant time.
    """
    scheme, _, token = (header or "").partition(" ")
    name, _, mac = token.strip().rpartition(".")
    is_right = hmac.compare_digest(mac.encode(), _mac(name, key).encode())
    if scheme.lower() != "bearer" or not is_right or not _NAME.fullmatch(name):
        raise RefusedEventError(
            "expected a token of this publisher in Authorization, after Bearer"
        )
    return name


def _mac(name: str, key: str) -> str:
    return hmac.new(key.encode(), f"publisher {name}".encode(), "sha256").hexdigest()
