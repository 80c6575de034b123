"""Only what a master key stands behind is believed, and nothing older than what was."""

from datetime import UTC, datetime, timedelta

import pytest

from offload.cache.cvmfs.errors import UntrustedError
from offload.cache.cvmfs.keys import Keys
from offload.cache.reading import OlderRevisionError, UnreachableError

MANIFEST, WHITELIST = ".cvmfspublished", ".cvmfswhitelist"


@pytest.fixture
def image(publisher):
    publisher.publish(small=publisher.small)
    return publisher.digest("small")


def replaced(publisher, name, change):
    path = publisher.public / name
    path.write_bytes(change(path.read_bytes()))


def test_every_change_to_a_signed_file_is_refused(make_cache, publisher, image):
    fresh = make_cache("fresh")
    for name in (MANIFEST, WHITELIST):
        path = publisher.public / name
        good = path.read_bytes()
        # Bytes of the lines, of their digest, and of the signature.
        for place in (0, 50, len(good) // 2, len(good) - 290, len(good) - 10):
            path.write_bytes(
                good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :]
            )
            with pytest.raises(UntrustedError, match=r"\.cvmfs"):
                fresh.refresh()
        path.write_bytes(good)
    assert fresh.refresh().number == 2


def test_a_manifest_of_another_key_is_refused(cache, publisher, make_publisher, image):
    other = make_publisher(
        "other", Keys.generate(cache.settings.fqrn, datetime.now(UTC))
    )
    other.publish(small=publisher.small)
    other.publish(small=())
    certificate = other.repository.head().certificate.path
    replaced(publisher, MANIFEST, lambda _: (other.public / MANIFEST).read_bytes())
    with pytest.raises(UntrustedError, match=r"names, .* is not in the repository"):
        cache.refresh()
    stolen = (other.public / certificate).read_bytes()
    (publisher.public / certificate).write_bytes(stolen)
    with pytest.raises(UntrustedError, match=r"certificate .* is not on it"):
        cache.refresh()
    # And with a whitelist of its own, which no trusted master key has signed.
    replaced(publisher, WHITELIST, lambda _: (other.public / WHITELIST).read_bytes())
    with pytest.raises(UntrustedError, match="signed by no master key that is trusted"):
        cache.refresh()


def test_what_is_refused_does_not_stop_what_is_here(cache, publisher, image):
    tree = cache.image(image)
    replaced(publisher, MANIFEST, lambda data: data[:-1])
    assert cache.image(image) == tree
    view = cache.view()
    assert view.revision.number == 2
    assert ".cvmfspublished" in view.revision.note
    with pytest.raises(UntrustedError):
        cache.refresh()


def test_an_expired_whitelist_is_refused(make_cache, origin, make_publisher, keys):
    then = datetime.now(UTC) - timedelta(days=31)
    origin.folder = make_publisher("old", keys, clock=lambda: then).public
    with pytest.raises(UntrustedError, match="whitelist: it has expired at 20"):
        make_cache().refresh()


def test_a_whitelist_that_expires_later_is_asked_for_again(
    cache, publisher, monkeypatch, image
):
    cache.refresh()
    after = datetime.now(UTC) + timedelta(days=31)

    class Later(datetime):
        @classmethod
        def now(cls, zone=None):
            return after

    monkeypatch.setattr("offload.cache.reading.following.datetime", Later)
    with pytest.raises(UntrustedError, match="it has expired"):
        cache.refresh()
    publisher.opened(lambda: after).renew_whitelist()
    assert cache.refresh().number == 2


def test_an_older_revision_is_refused_also_by_another_process(
    make_cache, publisher, image
):
    older = (publisher.public / MANIFEST).read_bytes()
    publisher.publish(other=publisher.small)
    assert make_cache("site").refresh().number == 3
    replaced(publisher, MANIFEST, lambda _: older)
    later = make_cache("site")
    with pytest.raises(OlderRevisionError, match=r"revision 2 .* is older than 3"):
        later.refresh()
    assert later.view().find(b"/.flat") is not None
    # Also where the manifest on disk is lost: what was seen is written first.
    (later.folder / "signed/manifest").unlink()
    with pytest.raises(OlderRevisionError):
        make_cache("site").refresh()


def test_another_revision_of_the_same_number_is_refused(
    cache, origin, make_publisher, keys, publisher, image
):
    cache.refresh()
    twin = make_publisher("twin", keys)
    twin.publish(other=publisher.small)
    origin.folder = twin.public
    with pytest.raises(OlderRevisionError, match="is another one than the one"):
        cache.refresh()


@pytest.mark.parametrize("name", ["manifest", "whitelist", "certificate"])
def test_signed_files_flipped_on_disk_are_asked_for_again(
    make_cache, origin, image, name
):
    path = make_cache("site").folder / "signed" / name
    make_cache("site").refresh()
    good = path.read_bytes()
    path.write_bytes(good[:40] + bytes([good[40] ^ 4]) + good[41:])
    assert make_cache("site", refresh_s=3600).view().revision.note is None
    assert path.read_bytes() == good
    path.write_bytes(b"")
    origin.stop()
    with pytest.raises(UnreachableError):
        make_cache("site").refresh()


def test_a_damaged_note_of_what_was_seen_is_said(make_cache, image):
    cache = make_cache("site")
    cache.refresh()
    (cache.folder / "signed/seen").write_bytes(b"{")
    with pytest.raises(UntrustedError, match="seen: it is damaged"):
        make_cache("site").refresh()


def test_a_repository_without_a_whitelist_is_refused(cache, publisher):
    (publisher.public / WHITELIST).unlink()
    with pytest.raises(UntrustedError, match="the repository has none"):
        cache.refresh()


def test_a_new_revision_is_taken_with_one_question_each(
    cache, publisher, origin, image
):
    cache.refresh()
    before = origin.requests.copy()
    assert cache.refresh().number == 2
    assert origin.requests - before == {f"/{MANIFEST}": 1}
    kept = (cache.folder / "signed/seen").stat()
    cache.refresh()
    assert (cache.folder / "signed/seen").stat().st_mtime_ns == kept.st_mtime_ns
    publisher.publish(other=publisher.small)
    assert cache.refresh().number == 3


def test_what_is_new_enough_is_not_asked_for_again(make_cache, origin, image):
    make_cache("site", refresh_s=3600).view()
    asked = sum(origin.requests.values())
    later = make_cache("site", refresh_s=3600)  # another process of the same site
    assert later.view().revision.number == 2
    assert sum(origin.requests.values()) == asked
