"""Many processes on one folder: one fetches, the others wait."""

import json
import subprocess
import sys
import threading

import pytest

from offload.cache.reading.locking import Locks

JOB = """
import json, sys
from pathlib import Path
from offload.cache.reading import RepositoryCache, RepositorySettings
settings = RepositorySettings.model_validate(json.loads(sys.argv[2]))
with RepositoryCache(Path(sys.argv[1]), settings) as cache:
    print("ready", flush=True)
    sys.stdin.readline()
    print(cache.image(sys.argv[3]), flush=True)
"""

HOLD = """
import sys, time
from pathlib import Path
from offload.cache.reading.locking import Locks
with Locks(Path(sys.argv[1])).held("x"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def image(publisher):
    many = [publisher.file(b"f%d" % n, b"%d\n" % n * 300) for n in range(150)]
    publisher.publish(small=publisher.small, many=[*publisher.small, *many])
    return publisher.digest("many")


@pytest.fixture
def start(tmp_path, settings):
    started = []

    def begin(image):
        document = json.dumps(settings.model_dump(mode="json"))
        process = subprocess.Popen(
            [sys.executable, "-c", JOB, tmp_path / "site", document, image],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        started.append(process)
        assert process.stdout.readline() == b"ready\n"
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def go(process):
    process.stdin.write(b"\n")
    process.stdin.flush()


def asked(origin):
    return {path: n for path, n in origin.requests.items() if "/data/" in path}


def test_jobs_that_start_cold_together_fetch_each_object_once(
    start, origin, publisher, image
):
    jobs = [start(image), start(image), start(publisher.digest("small"))]
    for job in jobs:
        go(job)
    assert all(job.communicate()[0].strip() for job in jobs)
    assert len(asked(origin)) > 150
    assert set(asked(origin).values()) == {1}


def test_threads_fetch_each_object_once(cache, origin, image):
    threads = [threading.Thread(target=cache.image, args=(image,)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(asked(origin).values()) == {1}


def test_a_name_is_held_by_one_thread_at_a_time(tmp_path):
    locks = Locks(tmp_path / "locks")
    inside, most = [], []

    def work(name):
        for _ in range(50):
            with locks.held(name):
                inside.append(name)
                most.append(inside.count(name))
                inside.remove(name)

    threads = [threading.Thread(target=work, args=(n,)) for n in ("a", "a", "a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1
    with locks.held("a"), locks.tried("a") as mine, locks.tried("b") as other:
        assert (mine, other) == (False, True)
    assert (tmp_path / "locks").stat().st_size == 0


def test_a_lock_of_a_killed_process_is_free(tmp_path):
    path = tmp_path / "locks"
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, path], stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"held\n"
    locks = Locks(path)
    with locks.tried("x") as mine:
        assert not mine
    process.kill()
    process.communicate()
    with locks.held("x"), locks.tried("x") as mine:
        assert not mine
