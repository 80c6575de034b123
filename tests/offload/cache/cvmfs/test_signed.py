"""Keys, manifest and whitelist: what is genuine passes, everything else does not."""

import stat
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offload.cache.cvmfs.errors import RepositoryError, UntrustedError
from offload.cache.cvmfs.keys import Keys, MasterKey, RepositoryKey
from offload.cache.cvmfs.letters import MOST_BYTES, seal
from offload.cache.cvmfs.manifest import Manifest, SignedManifest
from offload.cache.cvmfs.names import ObjectName, Suffix
from offload.cache.cvmfs.whitelist import Whitelist

FQRN = "environments.example.org"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
OPENSSL = ["openssl", "pkeyutl", "-verifyrecover", "-pubin", "-inkey"]
MONTH = timedelta(days=30)
KEYS = Keys.generate(FQRN, NOW)
MASTERS = [KEYS.master.public]
MANIFEST = Manifest(
    FQRN,
    7,
    ObjectName.of(b"root", Suffix.CATALOGUE),
    4096,
    ObjectName.of(b"certificate", Suffix.CERTIFICATE),
    ObjectName.of(b"history", Suffix.HISTORY),
    NOW,
    60,
)
SIGNED = MANIFEST.sign(KEYS.repository)
WHITELIST = Whitelist(FQRN, NOW, NOW + MONTH, (KEYS.repository.fingerprint,))
SIGNED_WHITELIST = WHITELIST.sign(KEYS.master)


def verify(data: bytes, keys: Keys = KEYS, fqrn: str = FQRN) -> Manifest:
    return SignedManifest.parse(data).verify(keys.repository.certificate, fqrn)


def verify_whitelist(data: bytes, now: datetime = NOW) -> Whitelist:
    return Whitelist.verify(data, MASTERS, FQRN, now)


def test_a_manifest_says_what_clients_read():
    lines = SIGNED.split(b"\n--\n")[0].decode().split("\n")
    assert {line[0]: line[1:] for line in lines} == {
        "C": MANIFEST.catalogue.hex,
        "B": "4096",
        "R": "d41d8cd98f00b204e9800998ecf8427e",
        "D": "60",
        "S": "7",
        "G": "yes",
        "A": "no",
        "N": FQRN,
        "X": MANIFEST.certificate.hex,
        "H": MANIFEST.history.hex,
        "T": str(int(NOW.timestamp())),
    }
    assert verify(SIGNED) == MANIFEST


@given(st.integers(0, len(SIGNED) - 1), st.integers(1, 255))
def test_a_manifest_of_which_one_byte_was_changed_is_refused(at, change):
    changed = bytearray(SIGNED)
    changed[at] ^= change
    with pytest.raises(UntrustedError):
        verify(bytes(changed))


def test_manifests_of_others_are_refused():
    with pytest.raises(UntrustedError, match="not signed with the certificate"):
        verify(SIGNED, Keys.generate(FQRN, NOW))
    with pytest.raises(UntrustedError, match=r"expected one of other\.example\.org"):
        verify(SIGNED, fqrn="other.example.org")


@pytest.mark.parametrize(
    "data",
    [b"", b"--\n", b"Cab\n--\n", SIGNED[:-256], b"x" * 2 * MOST_BYTES + SIGNED],
)
def test_what_is_not_signed_is_refused(data):
    with pytest.raises(UntrustedError, match="not signed"):
        SignedManifest.parse(data)


@pytest.mark.parametrize("field", ["S", "T", "C", "N", "Sx", "Cabc", "T" + "9" * 30])
def test_a_signed_manifest_that_lacks_a_line_or_has_a_wrong_one_is_refused(field):
    lines = SIGNED.split(b"\n--\n")[0].decode().split("\n")
    kept = [line for line in lines if line[0] != field[0]]
    if field[1:]:
        kept.append(field)
    with pytest.raises(UntrustedError, match="missing or wrong"):
        SignedManifest.parse(seal(kept, KEYS.repository.sign))


def test_a_whitelist_allows_its_certificates_until_it_expires():
    found = verify_whitelist(SIGNED_WHITELIST, NOW + MONTH - timedelta(seconds=1))
    assert found == WHITELIST
    found.allow(KEYS.repository.certificate)
    with pytest.raises(UntrustedError, match="is not on it"):
        found.allow(RepositoryKey.generate(FQRN, NOW).certificate)
    with pytest.raises(UntrustedError, match="expired at 2026-03-31 12:00 UTC"):
        verify_whitelist(SIGNED_WHITELIST, NOW + MONTH)


@given(st.integers(0, len(SIGNED_WHITELIST) - 1), st.integers(1, 255))
def test_a_whitelist_of_which_one_byte_was_changed_is_refused(at, change):
    changed = bytearray(SIGNED_WHITELIST)
    changed[at] ^= change
    with pytest.raises(UntrustedError):
        verify_whitelist(bytes(changed))


def test_whitelists_of_others_are_refused():
    with pytest.raises(UntrustedError, match="signed by no master key that is trusted"):
        verify_whitelist(WHITELIST.sign(MasterKey.generate()))
    with pytest.raises(UntrustedError, match=r"got one of 'other\.example\.org'"):
        verify_whitelist(replace(WHITELIST, fqrn="other.example.org").sign(KEYS.master))


def test_a_manifest_cannot_be_passed_off_as_a_whitelist():
    """The repository's key may publish; it may not say who may."""
    forged = SIGNED_WHITELIST[: -len(KEYS.master.sign(b"x"))]
    digest = forged.rstrip(b"\n").rpartition(b"\n")[2]
    with pytest.raises(UntrustedError, match="signed by no master key"):
        verify_whitelist(forged + KEYS.repository.sign(digest))


def test_openssl_reads_what_we_sign(tmp_path):
    """The tool itself: raw PKCS #1 by the master key, SHA-1 by the certificate's."""
    KEYS.save(tmp_path, FQRN)
    _, _, rest = SIGNED_WHITELIST.partition(b"\n--\n")
    digest, _, signature = rest.partition(b"\n")
    (tmp_path / "signature").write_bytes(signature)
    recovered = subprocess.run(
        [*OPENSSL, tmp_path / f"{FQRN}.pub", "-in", tmp_path / "signature"],
        check=True,
        capture_output=True,
    )
    assert recovered.stdout == digest
    _, _, rest = SIGNED.partition(b"\n--\n")
    digest, _, signature = rest.partition(b"\n")
    (tmp_path / "signature").write_bytes(signature)
    public = subprocess.run(
        ["openssl", "x509", "-in", tmp_path / f"{FQRN}.crt", "-pubkey", "-noout"],
        check=True,
        capture_output=True,
    )
    (tmp_path / "public").write_bytes(public.stdout)
    subprocess.run(
        [
            "openssl",
            "dgst",
            "-sha1",
            "-verify",
            tmp_path / "public",
            "-signature",
            tmp_path / "signature",
        ],
        input=digest,
        check=True,
        capture_output=True,
    )


def test_keys_are_kept_where_only_their_owner_reads_them(tmp_path):
    folder = tmp_path / "keys"
    KEYS.save(folder, FQRN)
    modes = {p.suffix: stat.S_IMODE(p.stat().st_mode) for p in folder.iterdir()}
    assert modes == {".key": 0o600, ".masterkey": 0o600, ".crt": 0o644, ".pub": 0o644}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    loaded = Keys.load(folder, FQRN)
    assert verify(MANIFEST.sign(loaded.repository)) == MANIFEST
    assert verify_whitelist(WHITELIST.sign(loaded.master)) == WHITELIST
    with pytest.raises(RepositoryError, match="there is a key already"):
        KEYS.save(folder, FQRN)


def test_a_master_key_may_be_kept_elsewhere(tmp_path):
    KEYS.save(tmp_path, FQRN)
    (tmp_path / f"{FQRN}.masterkey").unlink()
    assert Keys.load(tmp_path, FQRN).master is None


@pytest.mark.parametrize("suffix", ["key", "crt", "masterkey"])
@pytest.mark.parametrize("data", [b"", b"-----BEGIN CERTIFICATE-----\nx", b"\xff"])
def test_files_that_are_no_keys_are_refused(tmp_path, suffix, data):
    KEYS.save(tmp_path, FQRN)
    (tmp_path / f"{FQRN}.{suffix}").write_bytes(data)
    with pytest.raises(RepositoryError, match="expected"):
        Keys.load(tmp_path, FQRN)


def test_the_certificate_of_another_key_is_refused(tmp_path):
    KEYS.save(tmp_path, FQRN)
    other = RepositoryKey.generate(FQRN, NOW)
    (tmp_path / f"{FQRN}.crt").write_bytes(other.certificate)
    with pytest.raises(RepositoryError, match="got another's"):
        Keys.load(tmp_path, FQRN)
    (tmp_path / f"{FQRN}.key").unlink()
    with pytest.raises(RepositoryError, match="cannot be read"):
        Keys.load(tmp_path, FQRN)
