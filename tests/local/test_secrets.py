import base64
from concurrent.futures import ThreadPoolExecutor

from facility.local.secrets import MAKERS, ensure_secrets


def read(directory):
    return {p.name: p.read_text() for p in directory.iterdir()}


def test_every_secret_is_made_once(tmp_path):
    directory = tmp_path / "secrets"
    ensure_secrets(directory)
    first = read(directory)
    ensure_secrets(directory)
    assert read(directory) == first
    assert set(first) == set(MAKERS)
    assert len(set(first.values())) == len(MAKERS)
    assert len(first["hub-cookie"]) == 64
    assert len(base64.urlsafe_b64decode(first["gateway-db-key"])) == 32


def test_secrets_are_private_and_closed_again(tmp_path):
    directory = tmp_path / "secrets"
    directory.mkdir(mode=0o755)
    (directory / "proxy-token").write_text("restored")
    (directory / "proxy-token").chmod(0o644)
    ensure_secrets(directory)
    assert directory.stat().st_mode & 0o777 == 0o700
    assert {p.stat().st_mode & 0o777 for p in directory.iterdir()} == {0o600}
    assert (directory / "proxy-token").read_text() == "restored"


def test_of_two_at_once_both_use_the_same(tmp_path):
    def one(_):
        ensure_secrets(tmp_path)
        return {name: (tmp_path / name).read_text() for name in MAKERS}

    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(one, range(16)))
    assert all(secrets == read(tmp_path) for secrets in seen)
