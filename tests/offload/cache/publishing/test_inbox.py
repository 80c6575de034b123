"""What is on its way in fits, and stays as long as anything waits for it."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from offload.cache.errors import NoSpaceError
from offload.cache.publishing.errors import MissingImageError, ShareError
from offload.cache.publishing.inbox import Inbox
from offload.snapshot.model import Blob
from offload.snapshot.store.local import LocalStore


@pytest.fixture
def make_inbox(tmp_path):
    def make(quota_bytes=10**9) -> Inbox:
        store = LocalStore(tmp_path / "store")
        return Inbox(store, tmp_path / "in", quota_bytes, lambda _: False)

    return make


def send(inbox, digest, data):
    incoming = inbox.incoming(Blob(digest, len(data)), "anna")
    incoming.append(0, data)
    assert incoming.commit()


def age(tmp_path, seconds):
    for path in (*tmp_path.glob("in/*"), *tmp_path.glob("store/blobs/sha256/*")):
        moment = path.stat().st_mtime - seconds
        os.utime(path, (moment, moment))


def test_uploads_side_by_side_do_not_get_more_room_than_there_is(make_inbox):
    inbox = make_inbox(quota_bytes=1000)
    blobs = [Blob(f"sha256:{n:064x}", 10) for n in range(140)]

    def begin(blob):
        try:
            inbox.incoming(blob, f"person {blob.digest}")
        except NoSpaceError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(begin, blobs)) == 99  # the last one has half of ten


def test_a_blob_that_is_said_to_be_larger_later_needs_the_room(make_inbox):
    inbox = make_inbox(quota_bytes=2000)
    digest = "sha256:" + "a" * 64
    inbox.incoming(Blob(digest, 10), "anna").append(0, b"x")
    inbox.incoming(Blob(digest, 1000), "anna")
    with pytest.raises(NoSpaceError, match="asks for 1 more"):
        inbox.incoming(Blob(digest, 1001), "anna")
    with pytest.raises(NoSpaceError, match="no room for 1,001 bytes more"):
        inbox.incoming(Blob(digest, 2001), "anna")


def reserve(inbox, person, size, number):
    inbox.incoming(Blob(f"sha256:{number:064x}", size), person)


def test_one_person_leaves_as_much_for_others(make_inbox):
    inbox = make_inbox(quota_bytes=1000)
    reserve(inbox, "anna", 400, 1)
    reserve(inbox, "anna", 100, 2)
    with pytest.raises(ShareError) as caught:
        reserve(inbox, "anna", 1, 3)
    assert str(caught.value).isprintable()
    for part in ("at most 500 bytes", "anna has 500", "asks for 1 more", "try again"):
        assert part in str(caught.value)
    with pytest.raises(ShareError):
        inbox.missing([Blob(f"sha256:{3:064x}", 1)], "anna")
    reserve(inbox, "berta", 250, 4)
    with pytest.raises(ShareError, match="at most 250 bytes of one person"):
        reserve(inbox, "berta", 1, 5)
    reserve(inbox, "carla", 125, 6)
    reserve(inbox, "anna", 400, 1)  # goes on with what was begun


def test_what_has_come_counts_until_it_is_published(make_inbox, tmp_path):
    inbox = make_inbox(quota_bytes=1000)
    data = b"x" * 400
    blob = Blob.of(data)
    incoming = inbox.incoming(blob, "anna")
    incoming.append(0, data)
    assert incoming.commit()
    with pytest.raises(ShareError, match="anna has 400"):
        reserve(inbox, "anna", 101, 1)
    (tmp_path / "store/blobs/sha256" / blob.digest.removeprefix("sha256:")).unlink()
    reserve(inbox, "anna", 500, 1)


def test_what_was_here_before_is_nobodys(make_inbox):
    for name, data in (("anna", b"x" * 400), ("berta", b"y" * 100)):
        incoming = make_inbox(quota_bytes=1000).incoming(Blob.of(data), name)
        incoming.append(0, data)
        assert incoming.commit()
    inbox = make_inbox(quota_bytes=1000)
    with pytest.raises(ShareError, match="anna has 0"):
        reserve(inbox, "anna", 251, 1)
    reserve(inbox, "anna", 250, 1)


def test_what_does_not_fit_together_is_said_before_it_is_sent(make_inbox):
    inbox = make_inbox(quota_bytes=1500)
    blobs = [Blob(f"sha256:{n:064x}", 750) for n in range(2)]
    assert inbox.missing(blobs[:1], "anna") == [(blobs[0].digest, 0)]
    with pytest.raises(NoSpaceError, match="asks for 1,500 more"):
        inbox.missing(blobs, "anna")


def test_what_a_waiting_image_refers_to_is_not_dropped(
    make_inbox, make_tar, make_image, tmp_path
):
    inbox = make_inbox()
    image, other = (make_image(make_tar(("a", x))) for x in (b"1", b"2"))
    for each in (image, other):
        for digest, data in each.blobs.items():
            send(inbox, digest, data)
        inbox.take(each.manifest, each.digest, "amd64")
    inbox.incoming(Blob("sha256:" + "a" * 64, 10), "anna").append(0, b"x")
    age(tmp_path, 1000)
    moment = min(p.stat().st_mtime for p in tmp_path.glob("in/*")) + 500
    inbox.drop_older(moment, [image.digest, "sha256:" + "b" * 64])
    left = {path.name for path in tmp_path.glob("store/blobs/sha256/*")}
    assert left == {d.removeprefix("sha256:") for d in (image.digest, *image.blobs)}
    assert not list(tmp_path.glob("in/*"))


def test_what_is_asked_about_or_handed_over_begins_to_age_anew(
    make_inbox, make_tar, make_image, tmp_path
):
    inbox = make_inbox()
    image = make_image(make_tar(("a", b"1")))
    for digest, data in image.blobs.items():
        send(inbox, digest, data)
    moment = (tmp_path / "store/index.json").stat().st_mtime - 500
    wanted = [Blob(digest, len(data)) for digest, data in image.blobs.items()]
    for touch in (
        lambda: inbox.missing(wanted, "anna"),
        lambda: inbox.take(image.manifest, image.digest, "amd64"),
    ):
        age(tmp_path, 1000)
        touch()
        inbox.drop_older(moment, [])
        assert inbox.missing(wanted, "anna") == []
    age(tmp_path, 1000)
    inbox.drop_older(moment, [])
    with pytest.raises(MissingImageError, match="send them again"):
        inbox.take(image.manifest, image.digest, "amd64")
