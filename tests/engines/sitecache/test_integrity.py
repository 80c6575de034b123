"""Through a real squid: what is damaged, cut, swapped or forged changes no job's result."""

import os
import random
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from offload.cache.cvmfs.errors import UntrustedError
from offload.cache.cvmfs.items import Item
from offload.cache.cvmfs.keys import Keys
from offload.cache.cvmfs.repository import Repository
from offload.cache.reading import OlderRevisionError
from offload.snapshot.tree import Kind

pytestmark = pytest.mark.engines

FLIPS = 500


def flipped(data, rng):
    spoilt = bytearray(data)
    spoilt[rng.randrange(len(spoilt))] ^= 1 << rng.randrange(8)
    return bytes(spoilt)


class Wire:
    """Spoils every object the first time that it is asked for, so many of them."""

    def __init__(self, how, most):
        self.how, self.left = how, most
        self._seen, self._lock = set(), threading.Lock()
        self._before = b"nothing"

    def __call__(self, path, body):
        with self._lock:
            if "/data/" not in path or path in self._seen or not self.left:
                return body
            self._seen.add(path)
            self.left -= 1
            spoilt, self._before = self.how(body, self._before), body
            return spoilt


def test_bytes_flipped_on_the_wire_and_kept_by_squid_change_nothing(
    make_cache, origin, image, expected, contents
):
    rng = random.Random(1)
    origin.spoil = Wire(lambda body, _: flipped(body, rng), FLIPS // 2)
    assert contents(make_cache("site").image(image)) == expected
    assert origin.spoil.left == 0
    # Squid has kept each of them; it was asked past its memory, and has the good one.
    origin.requests.clear()
    assert contents(make_cache("later").image(image)) == expected
    assert origin.objects() == {}


WAYS = {
    "cut": lambda body, _: body[: len(body) // 2],
    "swapped": lambda _, before: before,
}


@pytest.mark.parametrize("how", WAYS)
def test_objects_cut_or_swapped_on_the_wire_change_nothing(
    make_cache, origin, image, expected, contents, how
):
    origin.spoil = Wire(WAYS[how], 10_000)
    assert contents(make_cache("site").image(image)) == expected
    assert origin.spoil.left < 10_000 - 400
    assert set(origin.objects().values()) == {2}


def test_bytes_flipped_on_disk_change_nothing(make_cache, image, expected, contents):
    rng = random.Random(2)
    cache = make_cache("site", verify_s=0)
    tree = cache.image(image)
    files = [p for p in tree.rglob("*") if p.is_file() and not p.is_symlink()]
    content = [p for p in (cache.folder / "content").rglob("*") if p.is_file()]
    for batch in range(10):
        for path in rng.sample(files + content, FLIPS // 20):
            status = path.stat()
            path.chmod(0o600)
            path.write_bytes(flipped(path.read_bytes(), rng))
            path.chmod(status.st_mode)
            if batch % 2:  # as a disk does, without a trace in the file's time
                os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert contents(make_cache("site", verify_s=0).image(image)) == expected
        content = [p for p in (cache.folder / "content").rglob("*") if p.is_file()]


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("silently", [False, True], ids=["seen", "silently"])
def test_contents_cut_or_swapped_on_disk_change_nothing(
    make_cache, image, expected, contents, how, silently
):
    cache = make_cache("site", verify_s=0)
    tree = cache.image(image)
    before = b"nothing"
    for path in [p for p in tree.rglob("*.py") if p.stat().st_size > 1][::3]:
        status, body = path.stat(), path.read_bytes()
        path.write_bytes(WAYS[how](body, before))
        if silently:
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        before = body
    assert contents(make_cache("site", verify_s=0).image(image)) == expected


def test_what_cannot_be_believed_is_refused_with_the_reason(
    make_cache, origin, published, image, tmp_path
):
    cache = make_cache("site")
    tree = cache.image(image)
    number = cache.refresh().number
    manifest = (published[0].public / ".cvmfspublished").read_bytes()
    repository = published[0]
    with repository.transaction() as transaction:
        transaction.put(b"/note", Item(b"note", Kind.FILE, 0o644, 4, content=b"note"))
        transaction.commit()
    assert seen_within(cache, number + 1, 60.0)
    origin.spoil = lambda path, body: manifest if "published" in path else body
    with pytest.raises(OlderRevisionError, match=f"revision {number} .* is older than"):
        refused(cache)
    origin.spoil = lambda path, body: body[:-2] if "published" in path else body
    with pytest.raises(UntrustedError, match="not signed"):
        refused(cache)
    # What is here is used all the same.
    assert cache.image(image) == tree
    assert cache.view().revision.number == number + 1


def refused(cache):
    """Refresh until squid has forgotten the last good answer."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        cache.refresh()
        time.sleep(0.2)


def seen_within(cache, number, seconds):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if cache.refresh().number == number:
            return True
        time.sleep(0.2)
    return False


@pytest.fixture
def impostor(published, tmp_path):
    """Return the public folder of a repository of the same name, made at a moment."""

    def make(name, keys, clock):
        return (
            Repository(tmp_path / name, published[0].fqrn, keys, clock=clock)
            .create()
            .public
        )

    return make


def test_a_manifest_of_other_keys_and_an_expired_whitelist_are_refused(
    make_cache, origin, published, image, impostor
):
    cache = make_cache("site")
    tree = cache.image(image)
    fqrn, now = published[0].fqrn, datetime.now(UTC)
    origin.folder = impostor("forged", Keys.generate(fqrn, now), lambda: now)
    with pytest.raises(UntrustedError, match="signed by no master key that is trusted"):
        make_cache("fresh").refresh()
    with pytest.raises(UntrustedError):
        refused(cache)
    then = now - timedelta(days=31)
    origin.folder = impostor("expired", published[2], lambda: then)
    with pytest.raises(UntrustedError, match="it has expired at 20"):
        make_cache("fresh").refresh()
    # What is here is used all the same.
    assert cache.image(image) == tree
