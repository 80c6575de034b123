"""The keys of a repository, as files that CernVM-FS's own tools name and read too.

``FQRN.masterkey`` signs the whitelist and may be kept elsewhere; ``FQRN.pub`` is its
public half, which clients are given. ``FQRN.key`` signs manifests; ``FQRN.crt``, its
certificate, is listed on the whitelist by its fingerprint and lies in the repository.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import NoDigestInfo
from cryptography.x509.oid import NameOID

from offload.cache.cvmfs.errors import RepositoryError, UntrustedError

_BITS = 2048
"""What CernVM-FS makes, and all its clients read."""
_VALID = timedelta(days=365 * 10)
"""Of the certificate; what limits trust is the whitelist, which is renewed."""


class MasterKey:
    """Signs whitelists: whose public half a client has decides which keys may publish.

    The signature is RSA (PKCS #1 v1.5 padding) of the bytes themselves, without the
    usual statement of a digest around them.
    """

    def __init__(self, private: rsa.RSAPrivateKey) -> None:
        self._private = private

    @classmethod
    def generate(cls) -> Self:
        return cls(_generate())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read one.

        Raises:
            RepositoryError: the file is no RSA key.
        """
        return cls(_private(path))

    @property
    def public(self) -> bytes:
        """The public half (PEM), which clients are given."""
        return _public_pem(self._private)

    def sign(self, text: bytes) -> bytes:
        return self._private.sign(text, PKCS1v15(), NoDigestInfo())

    def pem(self) -> bytes:
        return _private_pem(self._private)


class RepositoryKey:
    """Signs manifests. RSA, PKCS #1 v1.5 with SHA-1, as clients of all versions check."""

    def __init__(
        self, private: rsa.RSAPrivateKey, certificate: x509.Certificate
    ) -> None:
        self._private = private
        self._certificate = certificate

    @classmethod
    def generate(cls, fqrn: str, now: datetime) -> Self:
        """Make a key and a certificate for it, signed by itself."""
        private = _generate()
        name = x509.Name(
            [
                x509.NameAttribute(
                    NameOID.COMMON_NAME, f"{fqrn} CernVM-FS publisher"[:64]
                )
            ]
        )
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(private.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))  # others' clocks
            .not_valid_after(now + _VALID)
            .sign(private, hashes.SHA256())
        )
        return cls(private, certificate)

    @classmethod
    def load(cls, key: Path, certificate: Path) -> Self:
        """Read one.

        Raises:
            RepositoryError: the files are no RSA key and the certificate of it.
        """
        private = _private(key)
        loaded = _certificate(_read(certificate), certificate.name)
        if loaded.public_key() != private.public_key():
            raise RepositoryError(
                f"{certificate}: expected the certificate of {key.name}, got another's"
            )
        return cls(private, loaded)

    @property
    def certificate(self) -> bytes:
        """PEM."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.certificate)

    def sign(self, text: bytes) -> bytes:
        return self._private.sign(text, PKCS1v15(), hashes.SHA1())  # noqa: S303

    def pem(self) -> bytes:
        return _private_pem(self._private)


@dataclass(frozen=True, slots=True)
class Keys:
    """What a publisher needs."""

    repository: RepositoryKey
    master: MasterKey | None
    """None where the whitelist is signed elsewhere."""

    @classmethod
    def generate(cls, fqrn: str, now: datetime) -> Self:
        """Make all keys. Takes a second."""
        return cls(RepositoryKey.generate(fqrn, now), MasterKey.generate())

    @classmethod
    def load(cls, folder: Path, fqrn: str) -> Self:
        """Read the keys of a repository from a folder.

        Raises:
            RepositoryError: a key is missing or none.
        """
        master = folder / f"{fqrn}.masterkey"
        return cls(
            RepositoryKey.load(folder / f"{fqrn}.key", folder / f"{fqrn}.crt"),
            MasterKey.load(master) if master.exists() else None,
        )

    def save(self, folder: Path, fqrn: str) -> None:
        """Write the keys (private ones: mode 0600) to a folder (made with 0700).

        The key that signs manifests comes last: where it is, all others are.

        Raises:
            RepositoryError: there are keys already; they are left alone.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.master is not None:
            _write(folder / f"{fqrn}.masterkey", self.master.pem(), 0o600)
            _write(folder / f"{fqrn}.pub", self.master.public, 0o644)
        _write(folder / f"{fqrn}.crt", self.repository.certificate, 0o644)
        _write(folder / f"{fqrn}.key", self.repository.pem(), 0o600)


def fingerprint(certificate: bytes) -> str:
    """Return the SHA-1 of a certificate (PEM or DER): ``AB:CD:...``, as on whitelists.

    Raises:
        UntrustedError: it is no certificate.
    """
    digest = _certificate(certificate, "the certificate").fingerprint(
        hashes.SHA1()  # noqa: S303 -- what whitelists hold
    )
    return digest.hex(":").upper()


def is_signed_by_certificate(certificate: bytes, text: bytes, signature: bytes) -> bool:
    """Whether the owner of a certificate (PEM or DER) has signed a text.

    Raises:
        UntrustedError: it is no certificate of an RSA key.
    """
    key = _certificate(certificate, "the certificate").public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        raise UntrustedError("the certificate: expected one of an RSA key")
    try:
        key.verify(signature, text, PKCS1v15(), hashes.SHA1())  # noqa: S303
    except InvalidSignature:
        return False
    return True


def is_signed_by_master(
    masters: Iterable[bytes], text: bytes, signature: bytes
) -> bool:
    """Whether one of the master keys, given by their public halves, signed a text.

    Raises:
        RepositoryError: one of them is no RSA key in PEM form.
    """
    for pem in masters:
        key = _public(pem)
        try:
            signed = key.recover_data_from_signature(signature, PKCS1v15(), None)
        except InvalidSignature:
            continue
        if hmac.compare_digest(signed, text):
            return True
    return False


def _generate() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=_BITS)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RepositoryError(f"{path}: cannot be read: {error.strerror}") from None


def _write(path: Path, data: bytes, mode: int) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        raise RepositoryError(
            f"{path}: there is a key already; move it away, or use it"
        ) from None
    with os.fdopen(handle, "wb") as file:
        file.write(data)


def _private(path: Path) -> rsa.RSAPrivateKey:
    try:
        key = serialization.load_pem_private_key(_read(path), password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise RepositoryError(f"{path}: expected an RSA private key without password")
    return key


def _public(pem: bytes) -> rsa.RSAPublicKey:
    try:
        key = serialization.load_pem_public_key(pem)
    except ValueError:
        key = None
    if not isinstance(key, rsa.RSAPublicKey):
        raise RepositoryError("a master key: expected an RSA public key in PEM form")
    return key


def _certificate(data: bytes, name: str) -> x509.Certificate:
    try:
        if data.startswith(b"-----"):
            return x509.load_pem_x509_certificate(data)
        return x509.load_der_x509_certificate(data)
    except ValueError:
        raise UntrustedError(f"{name}: expected an X.509 certificate") from None


def _private_pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )


def _public_pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
