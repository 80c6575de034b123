"""How long credentials are good, read from real certificates."""

from datetime import UTC, date, datetime, timedelta

import asyncssh
import pytest

from offload.link.errors import LinkRefusedError
from offload.link.validity import (
    Validity,
    of_certificate,
    of_certificate_file,
    until_the_end_of,
)

BEGIN = datetime(2026, 6, 1, 8, tzinfo=UTC)
END = datetime(2026, 6, 2, 8, tzinfo=UTC)


def certificate(kind, begin=BEGIN, end=END):
    authority = asyncssh.generate_private_key("ssh-ed25519")
    key = asyncssh.generate_private_key(kind)
    made = authority.generate_user_certificate(
        key,
        "anna@site",
        serial=7,
        principals=["anna", "anna2"],
        valid_after=int(begin.timestamp()),
        valid_before=int(end.timestamp()),
    )
    return made.export_certificate("openssh").decode()


@pytest.mark.parametrize(
    "kind", ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp521", "ssh-rsa"]
)
def test_a_certificate_says_from_when_until_when(kind):
    assert of_certificate(certificate(kind)) == Validity(BEGIN, END)


def test_a_certificate_without_end():
    authority = asyncssh.generate_private_key("ssh-ed25519")
    made = authority.generate_user_certificate(authority, "x", principals=["x"])
    assert of_certificate(made.export_certificate().decode()) == Validity()


def test_what_is_no_certificate_is_refused(tmp_path):
    key = asyncssh.generate_private_key("ssh-ed25519")
    whole = certificate("ssh-ed25519")
    kind, data, *_ = whole.split()
    for text in ("", "a", key.export_public_key().decode(), f"{kind} {data[:200]}"):
        with pytest.raises(ValueError, match="expected an OpenSSH certificate"):
            of_certificate(text)
    path = tmp_path / "id-cert.pub"
    assert of_certificate_file(path) is None
    path.write_text("nonsense")
    with pytest.raises(LinkRefusedError, match="id-cert.pub: expected an OpenSSH"):
        of_certificate_file(path)


@pytest.mark.parametrize(
    ("validity", "warns"),
    [
        (Validity(), None),
        (Validity(BEGIN, END), END - timedelta(hours=3)),
        (Validity(END - timedelta(days=365), END), END - timedelta(days=3)),
        (until_the_end_of(date(2026, 6, 1)), datetime(2026, 5, 30, tzinfo=UTC)),
    ],
)
def test_the_end_is_announced_in_time(validity, warns):
    if warns is None:
        assert not validity.ends_soon(datetime(9999, 1, 1, tzinfo=UTC))
        return
    assert not validity.ends_soon(warns - timedelta(seconds=1))
    assert validity.ends_soon(warns)


def test_the_last_day_counts():
    validity = until_the_end_of(date(2026, 12, 31))
    assert not validity.has_ended(datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC))
    assert validity.has_ended(datetime(2027, 1, 1, tzinfo=UTC))
    assert until_the_end_of(None) == Validity()
