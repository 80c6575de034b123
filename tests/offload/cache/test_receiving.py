import errno
import hashlib
import os
import threading

import pytest

from offload.cache import DigestError, NoSpaceError, OffsetError, SiteCache
from offload.cache.errors import CacheError
from offload.snapshot import Blob, SnapshotError

DATA = os.urandom(100_000)
DIGEST = f"sha256:{hashlib.sha256(DATA).hexdigest()}"
BLOB = Blob(DIGEST, len(DATA))


def test_a_blob_arrives_in_pieces(cache):
    incoming = cache.incoming(DIGEST, len(DATA))
    assert incoming.append(0, DATA[:1000]) == 1000
    assert not incoming.commit()
    assert [(m.digest, m.offset) for m in cache.missing([BLOB])] == [(DIGEST, 1000)]
    assert incoming.append(1000, DATA[1000:]) == len(DATA)
    assert incoming.commit()
    assert cache.missing([BLOB]) == []
    assert cache.store.read(DIGEST) == DATA


def test_what_was_received_survives_the_process(cache, work):
    cache.incoming(DIGEST, len(DATA)).append(0, DATA[:70_000])
    again = SiteCache(work).incoming(DIGEST, len(DATA))
    assert again.offset == 70_000
    again.append(70_000, DATA[70_000:])
    assert again.commit()


@pytest.mark.parametrize("offset", [0, 999, 1001])
def test_another_place_than_the_next_is_refused_with_the_right_one(cache, offset):
    incoming = cache.incoming(DIGEST, len(DATA))
    incoming.append(0, DATA[:1000])
    with pytest.raises(OffsetError) as caught:
        incoming.append(offset, b"x")
    assert caught.value.expected == 1000
    assert incoming.offset == 1000


def test_wrong_bytes_are_dropped_and_sent_again(cache):
    incoming = cache.incoming(DIGEST, len(DATA))
    incoming.append(0, bytes(len(DATA)))
    with pytest.raises(DigestError):
        incoming.commit()
    assert incoming.offset == 0
    assert not cache.has(DIGEST)
    incoming.append(0, DATA)
    assert incoming.commit()


def test_more_bytes_than_announced_are_refused(cache):
    with pytest.raises(DigestError):
        cache.incoming(DIGEST, 10).append(0, DATA)


def test_a_complete_blob_takes_no_more(cache):
    incoming = cache.incoming(DIGEST, len(DATA))
    incoming.append(0, DATA)
    incoming.commit()
    with pytest.raises(OffsetError) as caught:
        incoming.append(0, DATA)
    assert caught.value.expected == len(DATA)
    assert incoming.commit(), "again is fine"


def test_an_empty_blob_arrives_too(cache):
    digest = f"sha256:{hashlib.sha256(b'').hexdigest()}"
    incoming = cache.incoming(digest, 0)
    incoming.append(0, b"")
    assert incoming.commit()
    assert cache.has(digest)


@pytest.mark.parametrize("name", ["sha256:../../etc", "md5:00", "sha256:ABC", ""])
def test_names_that_are_no_digests_are_refused(cache, name):
    with pytest.raises((CacheError, SnapshotError)):
        cache.incoming(name, 1)


def test_a_full_disk_is_said_in_one_line_and_keeps_what_fitted(cache, monkeypatch):
    incoming = cache.incoming(DIGEST, len(DATA))
    incoming.append(0, DATA[:5])

    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("fcntl.flock", full)
    with pytest.raises(NoSpaceError) as caught:
        incoming.append(5, DATA[5:])
    assert "\n" not in str(caught.value)
    assert incoming.offset == 5


def test_several_senders_of_one_blob_send_it_once(cache):
    accepted = []

    def send():
        incoming = cache.incoming(DIGEST, len(DATA))
        while incoming.offset < len(DATA):
            start = incoming.offset
            piece = DATA[start : start + 5000]
            try:
                incoming.append(start, piece)
                accepted.append(len(piece))
            except OffsetError:
                continue
        assert incoming.commit()

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(accepted) == len(DATA)
    assert cache.store.read(DIGEST) == DATA
