"""Files that hold secrets by what they are: their name, or their first bytes."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FileRule:
    """A kind of file that a program keeps its secrets in."""

    kind: str
    name: re.Pattern[bytes]
    """Of the whole path."""
    holds: Callable[[bytes], int | None]
    """Given the first bytes, returns the line of the secret; 0: the file itself."""


def find_by_file(path: bytes, head: bytes) -> list[tuple[str, int]]:
    """Return kind and line of what a file's name and content together give away."""
    if _ANY_NAME.search(path) is None:
        return []
    found = []
    for rule in _RULES:
        if rule.name.search(path):
            line = rule.holds(head)
            if line is not None:
                found.append((rule.kind, line))
    return found


def _line(pattern: bytes) -> Callable[[bytes], int | None]:
    compiled = re.compile(pattern, re.MULTILINE)

    def holds(head: bytes) -> int | None:
        match = compiled.search(head)
        return None if match is None else head.count(b"\n", 0, match.start(1)) + 1

    return holds


def _starts(*magic: bytes) -> Callable[[bytes], int | None]:
    return lambda head: 0 if head.startswith(magic) else None


def _rule(kind: str, name: bytes, holds: Callable[[bytes], int | None]) -> FileRule:
    return FileRule(kind, re.compile(rb"(?:^|/)(?:" + name + rb")$"), holds)


_PLAIN_PASSWORD = _line(rb"^\s*_?passw(?:or)?d\s*[=:]\s*[\"']?([^\s\"'$%<{]+)")
_NETRC = _line(
    rb"\b(?:machine\s+\S+|default)\s+(?:login\s+\S+\s+)?(?:account\s+\S+\s+)?"
    rb"password\s+(\S+)"
)
_RULES = (
    _rule("password in .netrc", rb"[._]?netrc", _NETRC),
    _rule(
        "PostgreSQL password",
        rb"\.pgpass|pgpass\.conf",
        _line(rb"^[^#\n:]+:[^\n:]*:[^\n:]*:[^\n:]*:(\S+)"),
    ),
    _rule("MySQL password", rb"\.my(?:login)?\.cnf", _PLAIN_PASSWORD),
    _rule("package index password", rb"\.pypirc", _PLAIN_PASSWORD),
    _rule("Rucio password", rb"\.?rucio\.cfg", _PLAIN_PASSWORD),
    _rule(
        "Rucio token", rb"auth_token(?:_for_[\w.-]+)?", _line(rb"\A(\S[^\n]{30,})\s*\Z")
    ),
    _rule("git password", rb"\.git-credentials", _line(rb"^[a-z]+://[^:@\s]+:(\S+)@")),
    _rule("Vault token", rb"\.vault-token", _line(rb"\A(\S{16,})")),
    _rule(
        "rclone secret",
        rb"rclone\.conf",
        _line(
            rb"^\s*(?:pass|password|token|secret_access_key|client_secret)\s*=\s*(\S+)"
        ),
    ),
    _rule(
        "JupyterHub cookie secret",
        rb"jupyter(?:hub)?_cookie_secret",
        lambda head: 0 if len(head) >= 16 else None,
    ),
    _rule("bearer token", rb"bt_u\d+", _line(rb"\A(\S{20,})")),
    _rule(
        "environment secret",
        rb"\.env(?:\.[\w-]+)?|[\w-]+\.env|\.?env\.sh|\.envrc",
        _line(
            rb"^\s*(?:export\s+)?\w*(?:SECRET|TOKEN|PASSWORD|PASSWD|API_KEY|ACCESS_KEY)"
            rb"\w*=[\"']?([^\s\"'$<{][^\s\"'$<{]{7,})"
        ),
    ),
    _rule("PKCS #12 key store", rb".+\.(?:p12|pfx)", _starts(b"\x30\x82", b"\x30\x80")),
    _rule("Java key store", rb".+\.(?:jks|keystore)", _starts(b"\xfe\xed\xfe\xed")),
    _rule("Kerberos key table", rb".*keytab.*", _starts(b"\x05\x01", b"\x05\x02")),
    _rule(
        "Kerberos ticket",
        rb"krb5cc.*|.+\.ccache",
        _starts(b"\x05\x01", b"\x05\x02", b"\x05\x03", b"\x05\x04"),
    ),
    _rule("MUNGE key", rb"munge\.key", lambda head: 0 if len(head) >= 32 else None),
)
_ANY_NAME = re.compile(b"|".join(rule.name.pattern for rule in _RULES))
"""Most files have the name of none: one look tells it."""
