"""A repository is made once, signed, and has one writer at a time."""

import stat
import threading
from datetime import timedelta

import pytest

from offload.cache.cvmfs.errors import (
    RepositoryBusyError,
    RepositoryError,
    UntrustedError,
)
from offload.cache.cvmfs.keys import Keys
from offload.cache.cvmfs.manifest import SignedManifest
from offload.cache.cvmfs.repository import Repository, Settings
from offload.cache.cvmfs.whitelist import Whitelist

FQRN = "environments.example.org"


def test_a_new_repository_is_empty_signed_and_whole(repository, keys, clock, contents):
    manifest = repository.head()
    assert (manifest.revision, manifest.fqrn) == (1, FQRN)
    assert contents(repository) == {}
    data = (repository.public / ".cvmfspublished").read_bytes()
    certificate = repository._storage.read(manifest.certificate)
    assert SignedManifest.parse(data).verify(certificate, FQRN) == manifest
    whitelist = Whitelist.verify(
        (repository.public / ".cvmfswhitelist").read_bytes(),
        [keys.master.public],
        FQRN,
        clock(),
    )
    whitelist.allow(certificate)
    assert whitelist.expires - clock() == timedelta(days=30)
    assert (repository.public / ".cvmfs_last_snapshot").read_bytes() == b""
    private = repository.public.parent / "private"
    assert stat.S_IMODE(private.stat().st_mode) == 0o700


def test_one_writer_at_a_time(repository, tmp_path, keys):
    other = Repository(tmp_path / "repository", FQRN, keys).open()
    entered = threading.Event()
    with repository.transaction():
        with (
            pytest.raises(RepositoryBusyError, match="another process is writing"),
            other.transaction(),
        ):
            pass

        def wait():
            with other.transaction(wait_s=60):
                entered.set()

        thread = threading.Thread(target=wait)
        thread.start()
        assert not entered.wait(0.1)
    thread.join(60)
    assert entered.is_set()


def test_repositories_are_made_once_and_opened_by_their_keys(
    repository, tmp_path, keys, clock
):
    place = tmp_path / "repository"
    with pytest.raises(RepositoryError, match="already"):
        Repository(place, FQRN, keys).create()
    with pytest.raises(RepositoryError, match="make one first"):
        Repository(tmp_path / "other", FQRN, keys).open()
    with pytest.raises(UntrustedError, match="not signed"):
        Repository(place, FQRN, Keys.generate(FQRN, clock())).open()
    with pytest.raises(UntrustedError, match="expected one of"):
        Repository(place, "other.example.org", keys).open()


@pytest.mark.parametrize(
    "fqrn", ["", "nodot", "UPPER.case", "a..b", "x\n.y", "a." * 40]
)
def test_names_that_are_no_repositorys_are_refused(tmp_path, keys, fqrn):
    with pytest.raises(RepositoryError, match="expected a name like"):
        Repository(tmp_path / "new", fqrn, keys).create()


def test_the_whitelist_is_renewed_here_or_where_the_master_key_is(
    tmp_path, repository, keys, clock
):
    clock.forward(days=29)
    assert repository.renew_whitelist().expires == clock() + timedelta(days=30)
    away = Keys(keys.repository, None)
    other = Repository(tmp_path / "other", FQRN, away, Settings(), clock).create()
    with pytest.raises(RepositoryError, match="master key is not here"):
        other.renew_whitelist()
    signed = (repository.public / ".cvmfswhitelist").read_bytes()
    other.install_whitelist(signed, [keys.master.public])
    assert (other.public / ".cvmfswhitelist").read_bytes() == signed
    with pytest.raises(UntrustedError, match="signed by no master key"):
        other.install_whitelist(signed, [Keys.generate(FQRN, clock()).master.public])
