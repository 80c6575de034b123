"""kill -9 at any moment: who reads finds a whole revision, who writes goes on."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from offload.cache.cvmfs.repository import Repository

FQRN = "environments.example.org"

PUBLISH = """
import sys
from datetime import timedelta
from pathlib import Path
from offload.cache.cvmfs.items import Item
from offload.cache.cvmfs.keys import Keys
from offload.cache.cvmfs.repository import Repository, Settings
from offload.snapshot.tree import Kind

folder, keys, fqrn = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
repository = Repository(
    folder, fqrn, Keys.load(keys, fqrn), Settings(level=1, workers=2, most_rows=100)
).open()
number = repository.head().revision
while True:
    number += 1
    contents = {b"%d/%d" % (n % 7, n): b"%d %d" % (number, n) * 50 for n in range(200)}
    with repository.preparation(wait_s=60) as preparation:
        preparation.put_tree(b"/t", [
            Item(path, Kind.FILE, 0o644, len(data), content=data)
            for path, data in contents.items()
        ])
        prepared = preparation.finish()
    with repository.transaction(wait_s=60) as transaction:
        transaction.put_prepared(prepared)
        transaction.put_tree(b"/large/%d" % (number % 3), [
            Item(b"f", Kind.FILE, 0o644, 9_000_000, content=b"%9d" % number * 1_000_000)
        ])
        transaction.commit()
    print(number, flush=True)
    repository.collect(2, timedelta(0), wait_s=60)
"""


def check(repository: Repository) -> int:
    """Read all of what is published; return its revision."""
    head = repository.head()
    numbers = set()
    files = 0
    for path, row in repository.namespace(head.catalogue).walk(b""):
        data = b"".join(map(repository._storage.read, row.objects()))
        if path.startswith(b"/t/") and data:
            numbers.add(int(data.split()[0]))
            files += 1
        elif data:
            assert len(data) == row.size == 9_000_000
    assert head.revision == 1 or (files == 200 and len(numbers) == 1)
    return head.revision


def test_killed_at_any_moment(repository, keys, tmp_path):
    place = tmp_path / "repository"
    keys.save(tmp_path / "keys", FQRN)
    chance = random.Random(1)
    revisions = [1]
    for number in range(6):
        process = subprocess.Popen(
            [sys.executable, "-c", PUBLISH, place, tmp_path / "keys", FQRN],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        wait_for_a_write(place / "private" / "lock", process)
        if number % 2:
            process.stdout.readline()  # it has published, and goes on
        time.sleep(chance.random() * 0.3)
        process.send_signal(signal.SIGKILL)
        _, errors = process.communicate()
        assert process.returncode == -signal.SIGKILL, errors.decode()
        revisions.append(check(repository))
    assert revisions == sorted(revisions)
    assert revisions[-1] > 3
    with repository.transaction() as transaction:
        transaction.remove(b"/t")
        transaction.remove(b"/large")
        transaction.commit()
    assert list((place / "private" / "drafts").iterdir()) == []


def wait_for_a_write(lock, process, timeout_s=60):
    """Wait until the process has opened the lock, which it does to write."""
    deadline = time.monotonic() + timeout_s
    while process.poll() is None:
        assert time.monotonic() < deadline
        folder = f"/proc/{process.pid}/fd"
        for name in os.listdir(folder):
            try:
                if Path(folder, name).readlink() == lock:
                    return
            except FileNotFoundError:
                continue
        time.sleep(0.005)
    pytest.fail(process.stderr.read().decode())
