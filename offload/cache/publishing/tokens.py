"""Tokens by which the publisher knows its people. Nothing is stored: each is computed.

``NAME.HEX``, HEX the HMAC-SHA256 of the name under the publisher's key. The name of a
site that may report what its jobs read, and nothing else, ends in ``+traces``: no
person's does.
"""

from __future__ import annotations

import hmac
import os
import pwd
import re
from pathlib import Path

from offload.cache.publishing.errors import RefusedEventError, RefusedRequestError

_NAME = re.compile(r"[a-z_][a-z0-9_.-]{0,31}")
_SITE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_REPORTS = "+traces"
_EXPECTED = "expected a token of this publisher in Authorization, after Bearer"


def token_of(name: str, key: str) -> str:
    """Return the token of a person.

    Args:
        name: login name.
        key: the publisher's secret.
    """
    return f"{name}.{_mac(name, key)}"


def site_token(site: str, key: str) -> str:
    """Return the token by which a site reports what its jobs read.

    Raises:
        RefusedRequestError: that is no name of a site.
    """
    if _SITE.fullmatch(site) is None:
        raise RefusedRequestError(
            f"site {site[:80]!r}: expected letters, digits, dots and dashes"
        )
    return token_of(site + _REPORTS, key)


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
    name = _named(header, key)
    if not _NAME.fullmatch(name):
        raise RefusedEventError(_EXPECTED)
    return name


def reporter_of(header: str | None, key: str) -> str:
    """Return which site, or person, reports what jobs read.

    Raises:
        RefusedEventError: neither. Tokens are compared in constant time.
    """
    name = _named(header, key)
    site = name.removesuffix(_REPORTS)
    if not (_SITE if site != name else _NAME).fullmatch(site):
        raise RefusedEventError(_EXPECTED)
    return name


def _named(header: str | None, key: str) -> str:
    scheme, _, token = (header or "").partition(" ")
    name, _, mac = token.strip().rpartition(".")
    is_right = hmac.compare_digest(mac.encode(), _mac(name, key).encode())
    if scheme.lower() != "bearer" or not is_right:
        raise RefusedEventError(_EXPECTED)
    return name


def _mac(name: str, key: str) -> str:
    return hmac.new(key.encode(), f"publisher {name}".encode(), "sha256").hexdigest()
