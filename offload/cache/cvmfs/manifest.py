"""The manifest, ``.cvmfspublished``: which revision a repository has, signed.

One letter per line says what the rest of it is; CernVM-FS technical documentation,
"Repository Manifest (.cvmfspublished)".
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from offload.cache.cvmfs.errors import RepositoryError, UntrustedError
from offload.cache.cvmfs.keys import RepositoryKey, is_signed_by_certificate
from offload.cache.cvmfs.letters import Letter, seal
from offload.cache.cvmfs.names import ObjectName, Suffix

FILE_NAME = ".cvmfspublished"
_ROOT_PATH = hashlib.md5(b"", usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a repository publishes at one moment."""

    fqrn: str
    """The repository's fully qualified name."""
    revision: int
    """Counts up from 1."""
    catalogue: ObjectName
    """The root catalogue."""
    catalogue_bytes: int
    """Of the root catalogue, decompressed."""
    certificate: ObjectName
    history: ObjectName
    published: datetime
    """UTC, to the second."""
    ttl_s: int
    """For so long a client need not look for a newer one."""

    def sign(self, key: RepositoryKey) -> bytes:
        """Return the file."""
        lines = [
            f"C{self.catalogue.hex}",
            f"B{self.catalogue_bytes}",
            f"R{_ROOT_PATH}",
            f"D{self.ttl_s}",
            f"S{self.revision}",
            "Gyes",  # old revisions may be removed
            "Ano",
            f"N{self.fqrn}",
            f"X{self.certificate.hex}",
            f"H{self.history.hex}",
            f"T{int(self.published.timestamp())}",
        ]
        return seal(lines, key.sign)


@dataclass(frozen=True, slots=True)
class SignedManifest:
    """A manifest as it came; not to be believed before it is verified."""

    unverified: Manifest
    letter: Letter

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read the file; the certificate that it names is needed to verify it.

        Raises:
            UntrustedError: it is not signed, or lacks what it must say.
        """
        letter = Letter.parse(data, FILE_NAME)
        fields = {line[:1]: line[1:] for line in letter.lines}
        try:
            manifest = Manifest(
                fields["N"],
                int(fields["S"]),
                ObjectName.parse(fields["C"], Suffix.CATALOGUE),
                int(fields["B"]),
                ObjectName.parse(fields["X"], Suffix.CERTIFICATE),
                ObjectName.parse(fields["H"], Suffix.HISTORY),
                datetime.fromtimestamp(int(fields["T"]), UTC),
                int(fields["D"]),
            )
        except (KeyError, ValueError, OverflowError, OSError, RepositoryError) as error:
            raise UntrustedError(
                f"{FILE_NAME}: a line is missing or wrong: {error}"
            ) from None
        return cls(manifest, letter)

    def verify(self, certificate: bytes, fqrn: str) -> Manifest:
        """Return the manifest, signed by that certificate's owner for that repository.

        Whether the certificate may sign is the whitelist's to say.

        Args:
            certificate: PEM, the content of the object that the manifest names.
            fqrn: the repository that was asked for.

        Raises:
            UntrustedError: the signature is another's, or it is of another repository.
        """
        if not is_signed_by_certificate(
            certificate, self.letter.digest, self.letter.signature
        ):
            raise UntrustedError(
                f"{FILE_NAME}: it is not signed with the certificate that it names"
            )
        if self.unverified.fqrn != fqrn:
            raise UntrustedError(
                f"{FILE_NAME}: expected one of {fqrn}, got one of "
                f"{self.unverified.fqrn[:80]!r}"
            )
        return self.unverified
