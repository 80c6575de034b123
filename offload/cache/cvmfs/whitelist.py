"""The whitelist, ``.cvmfswhitelist``: which certificates may publish, and until when.

CernVM-FS technical documentation, "Repository Whitelist"; signed by a master key.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from facility.text import counted
from offload.cache.cvmfs.errors import UntrustedError
from offload.cache.cvmfs.keys import MasterKey, fingerprint, is_signed_by_master
from offload.cache.cvmfs.letters import Letter, seal

FILE_NAME = ".cvmfswhitelist"
_TIME = "%Y%m%d%H%M%S"
_FINGERPRINT = re.compile(r"(?:[0-9A-F]{2}:){19}[0-9A-F]{2}")


@dataclass(frozen=True, slots=True)
class Whitelist:
    """Who may publish."""

    fqrn: str
    created: datetime
    expires: datetime
    """UTC, both. Some clients look at the hour only."""
    fingerprints: tuple[str, ...]

    def sign(self, key: MasterKey) -> bytes:
        """Return the file."""
        lines = [
            self.created.astimezone(UTC).strftime(_TIME),
            f"E{self.expires.astimezone(UTC).strftime(_TIME)}",
            f"N{self.fqrn}",
            *self.fingerprints,
        ]
        return seal(lines, key.sign)

    @classmethod
    def verify(
        cls, data: bytes, masters: Sequence[bytes], fqrn: str, now: datetime
    ) -> Self:
        """Read the file and make sure that it may be believed now.

        Args:
            data: the file.
            masters: public halves (PEM) of the master keys that are trusted.
            fqrn: the repository that was asked for.
            now: with a time zone.

        Raises:
            UntrustedError: it is forged, of another repository, or has expired.
            RepositoryError: a master key is none.
        """
        letter = Letter.parse(data, FILE_NAME)
        if not is_signed_by_master(masters, letter.digest, letter.signature):
            raise UntrustedError(
                f"{FILE_NAME}: it is signed by no master key that is trusted here "
                f"({counted(len(masters), 'key')})"
            )
        whitelist = cls._parse(letter.lines)
        if whitelist.fqrn != fqrn:
            raise UntrustedError(
                f"{FILE_NAME}: expected one of {fqrn}, got one of "
                f"{whitelist.fqrn[:80]!r}"
            )
        if now >= whitelist.expires:
            raise UntrustedError(
                f"{FILE_NAME}: it has expired at {whitelist.expires:%Y-%m-%d %H:%M} "
                "UTC; who has the master key must sign a new one"
            )
        return whitelist

    @classmethod
    def _parse(cls, lines: Sequence[str]) -> Self:
        try:
            created, expires, name = lines[:3]
            return cls(
                name.removeprefix("N"),
                datetime.strptime(created, _TIME).replace(tzinfo=UTC),
                datetime.strptime(expires, f"E{_TIME}").replace(tzinfo=UTC),
                tuple(m[0] for line in lines[3:] if (m := _FINGERPRINT.match(line))),
            )
        except ValueError:
            raise UntrustedError(
                f"{FILE_NAME}: expected times and a name in its first three lines"
            ) from None

    def allow(self, certificate: bytes) -> None:
        """Make sure that a certificate (PEM or DER) may sign manifests.

        Raises:
            UntrustedError: it may not, or is none.
        """
        if (found := fingerprint(certificate)) not in self.fingerprints:
            raise UntrustedError(
                f"{FILE_NAME}: the manifest's certificate {found} is not on it"
            )
