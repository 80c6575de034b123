"""How long a credential is good, and when its owner should hear of its end."""

from __future__ import annotations

import base64
import binascii
import struct
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from offload.link.errors import LinkRefusedError

LONGEST_NOTICE = timedelta(days=3)

_FOREVER = 2**64 - 1
# Fields of the public key in each kind of certificate (OpenSSH, PROTOCOL.certkeys).
_KEY_FIELDS = {
    "ssh-rsa-cert-v01@openssh.com": 2,
    "rsa-sha2-256-cert-v01@openssh.com": 2,
    "rsa-sha2-512-cert-v01@openssh.com": 2,
    "ssh-ed25519-cert-v01@openssh.com": 1,
    "ecdsa-sha2-nistp256-cert-v01@openssh.com": 2,
    "ecdsa-sha2-nistp384-cert-v01@openssh.com": 2,
    "ecdsa-sha2-nistp521-cert-v01@openssh.com": 2,
    "sk-ssh-ed25519-cert-v01@openssh.com": 2,
    "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com": 3,
}


@dataclass(frozen=True, slots=True)
class Validity:
    """From when until when; ``None`` is no limit."""

    begin: datetime | None = None
    end: datetime | None = None

    def has_begun(self, now: datetime) -> bool:
        return self.begin is None or now >= self.begin

    def has_ended(self, now: datetime) -> bool:
        return self.end is not None and now >= self.end

    def ends_soon(self, now: datetime) -> bool:
        """Whether less than an eighth of its life is left, or less than three days.

        The smaller of the two counts: a certificate for a day warns three hours before.
        """
        if self.end is None:
            return False
        notice = LONGEST_NOTICE
        if self.begin is not None:
            notice = min(notice, (self.end - self.begin) / 8)
        return now >= self.end - notice


def until_the_end_of(day: date | None) -> Validity:
    """Return the validity of what holds until a day (UTC) is over."""
    if day is None:
        return Validity()
    midnight = datetime.combine(day, time(tzinfo=UTC))
    return Validity(end=midnight + timedelta(days=1))


def of_certificate(text: str) -> Validity:
    """Read the validity of an OpenSSH certificate (the line of a ``-cert.pub`` file).

    Source: OpenSSH, PROTOCOL.certkeys, "Certificate types".

    Raises:
        ValueError: it is no such certificate.
    """
    words = text.split()
    if len(words) < 2 or words[0] not in _KEY_FIELDS:
        raise ValueError("expected an OpenSSH certificate, got something else")
    try:
        rest = base64.b64decode(words[1], validate=True)
        kind, rest = _string(rest)
        for _ in range(1 + _KEY_FIELDS[words[0]]):  # the nonce, then the key
            _, rest = _string(rest)
        rest = rest[8 + 4 :]  # serial number, type
        for _ in range(2):  # key id, principals
            _, rest = _string(rest)
        begin, end = struct.unpack_from(">QQ", rest)
    except (binascii.Error, struct.error) as error:
        raise ValueError(f"expected an OpenSSH certificate, got: {error}") from None
    if kind != words[0].encode():
        raise ValueError(f"expected a certificate of kind {words[0]}, got {kind!r}")
    return Validity(_time(begin), _time(end))


def of_certificate_file(path: Path) -> Validity | None:
    """Read the validity of the certificate in a file; ``None`` if there is no file.

    Raises:
        LinkRefusedError: it is something else, or cannot be read.
    """
    try:
        return of_certificate(path.read_text())
    except FileNotFoundError:
        return None
    except (ValueError, OSError) as error:
        raise LinkRefusedError(f"{path}: {error}") from None


def _string(data: bytes) -> tuple[bytes, bytes]:
    (length,) = struct.unpack_from(">I", data)
    if len(data) < 4 + length:
        raise struct.error("it is cut off")
    return data[4 : 4 + length], data[4 + length :]


def _time(seconds: int) -> datetime | None:
    if seconds in {0, _FOREVER}:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):  # beyond the year 9999
        return None
