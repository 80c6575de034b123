"""What secrets look like in text.

Every rule names bytes without which it cannot match, so that a file without any of them
costs a few substring searches. Detectors by entropy or by keyword alone are left out:
they flag what no person would call a secret, and who is warned in vain stops reading.
"""

from __future__ import annotations

import base64
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache

from offload.snapshot.secrets.detectors import detectors
from offload.snapshot.secrets.rule import Rule, is_placeholder

VERSION = 2
"""Raise it when a rule changes: what was found before is then looked for again."""


def _pattern(
    kind: str,
    needles: tuple[bytes, ...],
    pattern: str,
    *,
    is_real: Callable[[str], bool] = lambda value: not is_placeholder(value),
) -> Rule:
    """Make a rule of a pattern whose first group, or the whole, is the secret."""
    compiled = re.compile(pattern, re.MULTILINE)

    def find(text: str) -> Iterator[int]:
        for match in compiled.finditer(text):
            if is_real(match[compiled.groups and 1]):
                yield match.start(compiled.groups and 1)

    return Rule(kind, needles, find)


def _is_varied(value: str) -> bool:
    """Whether a value is as irregular as generated passwords and tokens are."""
    counts = Counter(value)
    bits = -sum(n / len(value) * math.log2(n / len(value)) for n in counts.values())
    kinds = (str.islower, str.isupper, str.isdigit)
    variety = sum(any(kind(letter) for letter in value) for kind in kinds)
    return bits >= 3 and variety >= 2 and not is_placeholder(value)


def _is_jwt(value: str) -> bool:
    """Whether the first part of three is the header of a signed token (RFC 7515)."""
    header = value.partition(".")[0]
    try:
        text = base64.urlsafe_b64decode(header + "=" * (-len(header) % 4))
    except ValueError:
        return False
    return b'"alg"' in text and b'"none"' not in text


def _is_key_body(value: str) -> bool:
    """Whether what follows the header of a key is long enough to be a real one."""
    body = value.replace("\\n", "\n").partition("-----\n")[2]
    lines = [line for line in body.split("\n") if line and ":" not in line]
    return len("".join(lines)) >= 64


def _anything(value: str) -> bool:
    return bool(value)


_HEX = r"([0-9a-f]{32,128})\b"


def _is_password(value: str) -> bool:
    """Whether a literal is a password; names, paths, URLs and formats are none."""
    return (
        _is_varied(value)
        and any(letter.isdigit() for letter in value)
        and re.search(r"[\\/:.,=\[\]()]|[a-z]{7}|[_-][a-z]+[_-]", value) is None
    )


_ASSIGNED = re.compile(r"=\s?[\"']([!-&(-~]{10,128})[\"']\s*(?:#.*)?$", re.MULTILINE)
_PASSWORD_NAME = re.compile(
    r"(?:passw(?:or)?d|api_key|secret|token)(?::\s?str)?\s?\Z", re.IGNORECASE
)
_LONGEST_NAME = 20
"""Letters that a match of it has at most, and more."""


def _passwords(text: str) -> Iterator[int]:
    """Yield where a literal that looks like a password is given to such a name."""
    # From the sign to the name: a name in any case is tried at every letter of a text.
    for match in _ASSIGNED.finditer(text):
        sign = match.start()
        before = text[max(0, sign - _LONGEST_NAME) : sign]
        if _PASSWORD_NAME.search(before) and _is_password(match[1]):
            yield match.start(1)


_OWN = (
    _pattern(
        "private key",
        (b"PRIVATE KEY",),
        # JSON writes the line breaks of a key as backslash and n.
        r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----\r?(?:\n|\\n)"
        r"(?:[A-Za-z0-9+/=:,. -]*\r?(?:\n|\\n)){1,4}",
        is_real=_is_key_body,
    ),
    _pattern(
        "PuTTY private key",
        (b"PuTTY-User-Key-File-",),
        r"^PuTTY-User-Key-File-\d: \S+",
        is_real=_anything,
    ),
    _pattern(
        "age private key", (b"AGE-SECRET-KEY-1",), r"AGE-SECRET-KEY-1([0-9A-Z]{50,})"
    ),
    _pattern(
        "Jupyter token",
        (b"_TOKEN",),
        r"_TOKEN[\"'\]]*\s*[=:]\s*[\"']?" + _HEX,
    ),
    # In URLs, headers, JSON and code; patterns that begin with a literal are quick.
    _pattern(
        "Jupyter token",
        (b"oken",),
        r"oken[\"'\]]*\s?[=:,]?\s?[\"']?" + _HEX,
    ),
    _pattern(
        "JupyterHub cookie secret",
        (b"cookie_secret",),
        r"cookie_secret\s*=\s*(?:bytes\.fromhex\(|b)?[\"']" + _HEX,
    ),
    _pattern(
        "key of a running kernel",
        (b"hmac-sha256",),
        r"\"key\"\s*:\s*\"([0-9a-f]{8}-[0-9a-f-]{20,})\"",
    ),
    _pattern(
        "bearer token",
        (b"eyJ",),
        r"(?<![\w-])eyJ[\w-]{10,2000}\.[\w-]{10,8000}\.[\w-]{20,}",
        is_real=_is_jwt,
    ),
    _pattern(
        "OAuth or OpenID Connect token",
        (b"refresh_token", b"access_token", b"id_token", b"client_secret"),
        r"[\"'](?:refresh_token|access_token|id_token|client_secret)[\"']\s*:\s*"
        r"[\"']([^\s\"']{24,})[\"']",
        is_real=_is_varied,
    ),
    _pattern(
        "AWS secret key",
        (
            b"secret_access_key",
            b"SECRET_ACCESS_KEY",
            b"session_token",
            b"SESSION_TOKEN",
        ),
        r"(?:(?i:aws_|gs_)?(?i:secret_access_key|session_token))[\"'\]]*\s*[=:]\s*"
        r"[\"']?([A-Za-z0-9/+=]{30,})",
    ),
    _pattern(
        "object store secret key",
        (b"secret_key",),
        r"^[ \t]*(?:s3_|minio_|rgw_)?secret_key\s*[=:]\s*[\"']?([A-Za-z0-9/+=]{16,})[\"']?\s*$",
        is_real=_is_varied,
    ),
    _pattern("Google API key", (b"AIza",), r"\bAIza[0-9A-Za-z_-]{35}\b"),
    _pattern("Google client secret", (b"GOCSPX-",), r"\bGOCSPX-[0-9A-Za-z_-]{28}"),
    _pattern("Google token", (b"ya29.",), r"\bya29\.[0-9A-Za-z_-]{40,}"),
    _pattern(
        "Google HMAC secret",
        (b"gs_oauth2_refresh_token",),
        r"gs_oauth2_refresh_token\s*=\s*(\S{16,})",
    ),
    _pattern(
        "Azure shared access signature",
        (b"sig=",),
        r"(?<=[?&;])sig=([A-Za-z0-9%+/]{40,})",
        is_real=_anything,
    ),
    _pattern(
        "key in a kubeconfig",
        (b"client-key-data", b"current-context"),
        r"^[ \t]*(?:client-key-data|token):\s*[\"']?([A-Za-z0-9+/=._-]{40,})",
        is_real=lambda value: len(set(value)) >= 5,
    ),
    _pattern(
        "password of a container registry",
        (b'"auths"',),
        r"\"(?:auth|identitytoken|registrytoken|password)\"\s*:\s*\"([^\"\s]{8,})\"",
        is_real=lambda value: len(set(value)) >= 5,
    ),
    _pattern(
        "package registry token",
        (b"_authToken", b"_auth", b"_password"),
        r"(?:^|:)_(?:authToken|auth|password)\s*=\s*[\"']?([A-Za-z0-9+/=_.-]{16,})",
    ),
    _pattern("npm token", (b"npm_",), r"\bnpm_[A-Za-z0-9]{36}\b"),
    _pattern("GitHub token", (b"github_pat_",), r"\bgithub_pat_[A-Za-z0-9_]{40,}"),
    _pattern("Hugging Face token", (b"hf_",), r"\bhf_[A-Za-z]{34}\b"),
    _pattern("Anthropic key", (b"sk-ant-",), r"\bsk-ant-[A-Za-z0-9_-]{40,}"),
    _pattern("OpenAI key", (b"sk-proj-",), r"\bsk-proj-[A-Za-z0-9_-]{40,}"),
    _pattern("Vault token", (b"hvs.", b"hvb."), r"\bhv[sb]\.[A-Za-z0-9_-]{24,}"),
    _pattern("Docker token", (b"dckr_pat_",), r"\bdckr_pat_[A-Za-z0-9_-]{20,}"),
    _pattern("DigitalOcean token", (b"_v1_",), r"\bdo[opr]_v1_[0-9a-f]{64}\b"),
    _pattern("Databricks token", (b"dapi",), r"\bdapi[0-9a-f]{32}\b"),
    _pattern(
        "Rucio token",
        (b"-unknown-", b"rucio-auth-token", b"Rucio-Auth-Token"),
        # account-identity-application-uuid, rucio.core.authentication
        r"(?:^|[\s\"':])([a-z0-9_]+-(?:/[^\s\"']|\w)[^\n\"']{2,200}-[\w.-]+-[0-9a-f]{32})\b",
        is_real=_anything,
    ),
    _pattern(
        "password in a URL",
        (b"://",),
        r"://[^\s:/?#@\"'<>{}]+:([^\s:/?#@\"'<>{}\[\]()$%*]{6,})@"
        r"[A-Za-z0-9.-]+\b",
        is_real=_is_varied,
    ),
    _pattern(
        "password hash",
        (b":$",),
        r"^[\w.@-]+:\$(?:6|5|2y|2b|apr1|y)\$[./A-Za-z0-9$=,]{20,}",
        is_real=_anything,
    ),
    Rule(
        "password in the code",
        (b"assw", b"ASSW", b"pi_key", b"PI_KEY", b"ecret", b"ECRET", b"oken", b"OKEN"),
        _passwords,
    ),
)


@cache
def rules() -> tuple[Rule, ...]:
    """Return all rules."""
    return (*detectors(), *_OWN)
