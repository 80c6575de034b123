"""The folder of blobs: whole or not there, shared, and swept."""

import hashlib
import os
import signal
import stat
import subprocess
import sys
import threading

import pytest

from offload.snapshot import (
    DamagedError,
    MissingError,
    Request,
    collect_garbage,
    freeze,
    load,
    manifest,
    scan,
    verify,
)

FREEZE = """
import sys
from pathlib import Path
from offload.snapshot import LocalStore, Request, freeze
print("begun", flush=True)
print(freeze(Request(Path(sys.argv[1])), LocalStore(Path(sys.argv[2]))).image)
"""

KILLED = """
import os, signal, sys
from offload.snapshot.store.writing import BlobWriter

left, write = int(sys.argv[3]), BlobWriter.write

def dying(self, data):
    global left
    left -= len(data)
    if left < 0:
        write(self, data[: len(data) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
    write(self, data)

BlobWriter.write = dying
"""


def age(store, digest):
    os.utime(store.blob_path(digest), (0, 0))


def test_only_its_owner_may_look(store):
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o700


def test_blobs_are_named_by_content(store):
    blob = store.add(b"content")
    assert blob.digest == f"sha256:{hashlib.sha256(b'content').hexdigest()}"
    assert store.read(blob.digest) == b"content"
    assert store.add(b"content") == blob == store.blob(blob.digest)
    assert list(store.digests()) == [blob.digest]


def test_an_unexpected_blob_is_not_kept(store):
    with store.writer() as writer:
        writer.write(b"something")
        with pytest.raises(DamagedError, match="expected a blob"):
            writer.commit("sha256:" + "0" * 64)
    assert list(store.digests()) == []
    assert list((store.path / "drafts").iterdir()) == []


@pytest.mark.parametrize(
    "digest", ["", "sha256:", "md5:" + "0" * 64, "sha256:" + "../" * 21 + "x"]
)
def test_what_is_no_digest_is_refused(store, digest):
    with pytest.raises(DamagedError, match="expected sha256:HEX"):
        store.blob_path(digest)


def test_a_missing_blob_is_one_line(store):
    with pytest.raises(MissingError, match="got nothing"):
        store.read("sha256:" + "0" * 64)


def test_damage_is_found(tree, store):
    snapshot = freeze(Request(tree), store)
    part = snapshot.part("code")
    path = store.blob_path(part.layers[0])
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    (problem,) = verify(snapshot, store)
    assert str(path) in problem
    path.unlink()
    (problem,) = verify(snapshot, store)
    assert "got nothing" in problem


def test_damage_is_repaired_by_the_next_freeze_of_a_new_store(tree, store):
    snapshot = freeze(Request(tree), store)
    for layer in snapshot.part("code").layers:
        store.drop(layer)
    again = freeze(Request(tree), store)
    assert again.id == snapshot.id
    assert verify(again, store) == []


def test_a_damaged_cache_is_begun_anew(tree, store):
    first = freeze(Request(tree), store)
    store.cache_path.write_bytes(
        b"this is no database, and long enough to be read" * 99
    )
    assert freeze(Request(tree), store).id == first.id


def test_a_layer_that_lies_is_found(tree, store, make):
    """Whole blobs, but another content than the manifest says."""
    one = freeze(Request(tree), store)
    make(tree, {b"code.py": b"print(2)"})
    two = freeze(Request(tree), store)
    wrong = one.part("code").layers
    forged = two.__class__.from_json(
        two.to_json().replace(f', "{two.part("code").layers[-1]}"', "")
    )
    assert forged.part("code").layers == wrong
    assert verify(forged, store) != []


def test_garbage_goes_and_what_is_kept_stays(tree, store, make):
    snapshots = []
    for number in range(4):
        make(tree, {b"code.py": b"%d" % number, b"big": os.urandom(100_000)})
        snapshots.append(freeze(Request(tree), store))
        age(store, snapshots[-1].image)
    kept = snapshots[1]
    unknown = "sha256:" + "0" * 64
    collected = collect_garbage(store, [kept.image, unknown])
    assert collected.images == 3
    assert collected.size > 100_000
    assert store.images() == (kept.image,)
    assert verify(kept, store) == []
    assert collect_garbage(store, [kept.image]).blobs == 0
    with pytest.raises(MissingError):
        load(snapshots[3].image, store)
    # What was collected is not built upon.
    again = freeze(Request(tree), store)
    assert verify(again, store) == []
    assert manifest(again, store, "code") == scan(tree)


def test_the_young_are_kept(tree, store):
    snapshot = freeze(Request(tree), store)
    assert collect_garbage(store, []).images == 0
    assert verify(snapshot, store) == []
    assert collect_garbage(store, [], grace_s=-1).images == 1
    assert list(store.digests()) == []


def test_garbage_waits_for_a_freeze_under_way(store):
    done = threading.Event()
    with store.in_use():
        thread = threading.Thread(
            target=lambda: (collect_garbage(store, []), done.set())
        )
        thread.start()
        assert not done.wait(0.1)
    thread.join(10)
    assert done.is_set()


def test_many_freeze_at_once(tree, store, make, tmp_path):
    roots = [tmp_path / f"root {number}" for number in range(4)]
    for root in roots:
        make(root, {b"same": b"same", b"own": os.fsencode(root.name)})
    running = [
        subprocess.Popen(
            [sys.executable, "-c", FREEZE, root, store.path],
            stdout=subprocess.PIPE,
            text=True,
        )
        for root in [*roots, roots[0]]
    ]
    images = [process.communicate(timeout=60)[0].split()[-1] for process in running]
    assert [process.returncode for process in running] == [0] * 5
    assert set(images) <= set(store.images())
    for image, root in zip(images, [*roots, roots[0]], strict=True):
        snapshot = load(image, store)
        assert verify(snapshot, store) == []
        assert manifest(snapshot, store, "code") == scan(root)


@pytest.mark.parametrize("share", [0.1, 0.4, 0.8])
def test_killed_in_the_middle_the_store_is_whole(tree, store, make, share):
    before = freeze(Request(tree), store)
    make(tree, {b"new %d" % n: os.urandom(400_000) for n in range(60)})
    moment = int(share * 60 * 400_000)
    drafts = store.path / "drafts"
    killed = subprocess.run(
        [sys.executable, "-c", KILLED + FREEZE, tree, store.path, str(moment)],
        check=False,
        stdout=subprocess.DEVNULL,
    )
    assert killed.returncode == -signal.SIGKILL
    assert list(drafts.iterdir()) != []
    assert store.images() == (before.image,)
    assert verify(before, store) == []
    for digest in store.digests():
        store.read(digest)  # raises if it is not whole
    after = freeze(Request(tree), store)
    assert list(drafts.iterdir()) == []
    assert verify(after, store) == []
    assert manifest(after, store, "code") == scan(tree)
