"""Sites behind a real squid: each object leaves the origin once, whatever is damaged."""

import json
import os
import random
import subprocess
import sys
import threading
import time

import pytest

from offload.cache.cvmfs.errors import UntrustedError
from offload.cache.cvmfs.items import Item
from offload.cache.reading import OlderRevisionError
from offload.snapshot.tree import Kind

pytestmark = pytest.mark.engines

JOBS = 16
FLIPS = 500

JOB = """
import json, sys
from pathlib import Path
from offload.cache.reading import RepositoryCache, RepositorySettings
settings = RepositorySettings.model_validate(json.loads(sys.argv[2]))
with RepositoryCache(Path(sys.argv[1]), settings) as cache:
    print("ready", flush=True)
    sys.stdin.readline()
    tree = cache.image(sys.argv[3])
    print(sum(path.stat().st_size for path in tree.rglob("*.py")), flush=True)
"""


def run_together(folders, settings, image):
    """Start a job per folder; all begin at the same moment; return what they print."""
    document = json.dumps(settings.model_dump(mode="json"))
    jobs = [
        subprocess.Popen(
            [sys.executable, "-c", JOB, folder, document, image],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for folder in folders
    ]
    for job in jobs:
        assert job.stdout.readline() == b"ready\n"
    for job in jobs:
        job.stdin.write(b"\n")
        job.stdin.flush()
    return {int(job.communicate(timeout=100)[0]) for job in jobs}


@pytest.fixture
def size(items):
    return sum(item.size for item in items if item.path.endswith(b".py"))


def test_cold_jobs_of_one_site_fetch_each_object_once(
    tmp_path, origin, settings, image, size
):
    printed = run_together([tmp_path / "site"] * JOBS, settings, image)
    assert printed == {size}
    assert len(origin.objects()) > 400
    assert set(origin.objects().values()) == {1}


def test_cold_nodes_behind_one_squid_fetch_each_object_once(
    tmp_path, origin, settings, image, size
):
    folders = [tmp_path / f"node-{n}" for n in range(4)]
    assert run_together(folders * 4, settings, image) == {size}
    assert len(origin.objects()) > 400
    assert set(origin.objects().values()) == {1}


def flipped(data, rng):
    spoilt = bytearray(data)
    spoilt[rng.randrange(len(spoilt))] ^= 1 << rng.randrange(8)
    return bytes(spoilt)


def test_bytes_flipped_on_the_wire_and_kept_by_squid_change_nothing(
    make_cache, origin, image, expected, contents
):
    rng = random.Random(1)
    lock, seen, left = threading.Lock(), set(), [FLIPS // 2]

    def spoil(path, body):
        """Flip a bit of every object, the first time that it is asked for."""
        with lock:
            if "/data/" not in path or path in seen or not left[0]:
                return body
            seen.add(path)
            left[0] -= 1
            return flipped(body, rng)

    origin.spoil = spoil
    assert contents(make_cache("site").image(image)) == expected
    assert left == [0]
    # Squid has kept each of them; it was asked past its memory, and has the good one.
    origin.requests.clear()
    assert contents(make_cache("later").image(image)) == expected
    assert origin.objects() == {}


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
    assert seen_within(cache, number + 1, 10.0)
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
    deadline = time.monotonic() + 10
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


def test_a_job_starts_with_origin_and_squid_down(
    tmp_path, origin, settings, image, size
):
    assert run_together([tmp_path / "site"], settings, image) == {size}
    dead = settings.model_copy(
        update={"urls": ("http://127.0.0.1:9",), "proxies": ("http://127.0.0.1:9",)}
    )
    assert run_together([tmp_path / "site"] * 3, dead, image) == {size}
