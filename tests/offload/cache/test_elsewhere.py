"""Public layers come from a repository, mounted or read; nobody waits long for it."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from offload.cache import (
    CacheError,
    MissingBlobsError,
    NoSpaceError,
    SiteCache,
    collection,
)
from offload.cache import elsewhere as module
from offload.cache.composing import compose_lazily, is_ready
from offload.cache.pinned import fetch_pinned
from offload.snapshot import Blob, unpack
from offload.snapshot.images.image import read_image


def layer_place(root: Path, digest: str) -> Path:
    name = digest.removeprefix("sha256:")
    return root / ".layers" / name[:2] / name / "layerfs"


@pytest.fixture
def environment(home):
    """A snapshot with a public and a private layer of ``env``, and code."""
    root, package = home.folder(b""), home.folder(b"numpy")
    public = [root, package, home.file(b"numpy/__init__.py", b"public\n")]
    private = [root, home.file(b"pyvenv.cfg", b"private\n")]
    code = [home.folder(b""), home.file(b"run.py", b"import numpy\n")]
    layers = [
        replace(home.layer("env", public), is_public=True),
        home.layer("env", private),
    ]
    everything = sorted({*public, *private})
    return home.snapshot(
        code=([home.layer("code", code)], code), env=(layers, everything)
    )


@pytest.fixture
def public(home, environment):
    image = read_image(home.store, environment.image)
    (layer,) = (each for each in image.layers if each.is_public)
    return layer.digest


class Repository:
    """What a site's cache of a repository does, of one layer in a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.refreshed = 0
        self.fetched: list[str] = []
        self.given_up: list[int] = []
        self.forgotten: list[str] = []
        self.answers = threading.Event()
        self.answers.set()
        self.error: Exception | None = None

    def refresh(self, max_age_s: float = 0.0) -> object:
        self.refreshed += 1
        self.answers.wait()
        if self.error is not None:
            raise self.error
        return None

    def find(self, path: str) -> object | None:
        return path if (self.root / path.lstrip("/")).exists() else None

    def layer(self, digest: str) -> Path | None:
        self.fetched.append(digest)
        return layer_place(self.root, digest)

    def unpin(self, uid: str) -> None:
        self.forgotten.append(uid)

    def forget_jobs(self, is_known, before: float) -> None:
        self.forgotten.append("vanished")

    def collect(self, *, wanted: int = 0) -> object:
        self.given_up.append(wanted)
        return None


@pytest.fixture
def root(tmp_path, home, public):
    """The repository, as it is mounted or fetched."""
    root = tmp_path / "repository"
    unpack(home.store.blob_path(public), layer_place(root, public), digest=public)
    return root


def send(home, snapshot, cache, public=(), image="") -> set[str]:
    """Send what is lacking and does not come; return which blobs that were."""
    blobs = {blob.digest: blob for blob in home.blobs(snapshot)}
    sent = set()
    for missing in cache.missing(blobs.values(), public, image):
        if not missing.is_coming:
            incoming = cache.incoming(missing.digest, blobs[missing.digest].size)
            incoming.append(0, home.store.read(missing.digest))
            assert incoming.commit()
            sent.add(missing.digest)
    return sent


def eventually(condition) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def part_of(work: Path, image: str, role: str) -> Path:
    document = json.loads((work / "images" / f"{image[7:]}.json").read_bytes())
    (tree,) = (part["tree"] for part in document["parts"] if part["role"] == role)
    return work / "trees" / tree


def test_a_mounted_layer_is_linked_to_and_never_sent(
    home, environment, public, root, work
):
    cache = SiteCache(work, mount=root)
    sent = send(home, environment, cache, {public})
    assert public not in sent
    assert sent == {b.digest for b in home.blobs(environment)} - {public}
    assert cache.missing_of(environment.image) == ()
    cache.ensure_image(environment.image)
    tree = part_of(work, environment.image, "env")
    assert (tree / "numpy/__init__.py").read_text() == "public\n"
    link = (tree / "numpy/__init__.py").readlink()
    assert link == layer_place(root, public) / "env/numpy/__init__.py"
    assert (tree / "pyvenv.cfg").read_text() == "private\n"
    assert not (tree / "pyvenv.cfg").is_symlink()
    assert not (part_of(work, environment.image, "code") / "run.py").is_symlink()


def test_a_layer_that_nobody_said_is_public_is_not_looked_for(
    home, environment, public, root, work
):
    cache = SiteCache(work, mount=root)
    assert public in {m.digest for m in cache.missing(home.blobs(environment))}


def test_what_the_mount_loses_is_sent_and_the_tree_made_anew(
    home, environment, public, root, work
):
    cache = SiteCache(work, mount=root)
    send(home, environment, cache, {public})
    cache.ensure_image(environment.image)
    assert cache.is_ready(environment.image)
    before = part_of(work, environment.image, "env")
    shutil.rmtree(root)
    assert not cache.is_ready(environment.image)
    assert cache.missing_of(environment.image) == (public,)
    with pytest.raises(MissingBlobsError):
        cache.ensure_image(environment.image)
    assert send(home, environment, cache, {public}) == {public}
    cache.ensure_image(environment.image)
    tree = part_of(work, environment.image, "env")
    assert tree != before
    assert not (tree / "numpy/__init__.py").is_symlink()
    assert (tree / "numpy/__init__.py").read_text() == "public\n"


def test_what_a_repository_has_comes_without_being_sent(
    home, environment, public, root, work
):
    repository = Repository(root)
    cache = SiteCache(work, repository=repository)
    sent = send(home, environment, cache, {public})
    assert public not in sent
    eventually(lambda: cache.has(public))
    assert repository.fetched == [public]
    cache.ensure_image(environment.image)
    # The same bytes on the disk, not copies of them.
    ours = part_of(work, environment.image, "env") / "numpy/__init__.py"
    theirs = layer_place(root, public) / "env/numpy/__init__.py"
    assert ours.samefile(theirs)
    shutil.rmtree(root)
    assert ours.read_text() == "public\n"
    assert cache.is_ready(environment.image)


def test_private_blobs_are_never_asked_for(home, environment, public, root, work):
    repository = Repository(root)
    cache = SiteCache(work, repository=repository)
    cache.missing(home.blobs(environment))
    assert repository.refreshed == 0


def test_what_it_lacks_is_sent(home, environment, public, root, work):
    shutil.rmtree(root)
    cache = SiteCache(work, repository=Repository(root))
    assert public in send(home, environment, cache, {public})
    cache.ensure_image(environment.image)


def test_one_that_does_not_answer_holds_nobody_up(
    home, environment, public, root, work, monkeypatch
):
    monkeypatch.setattr(module, "PATIENCE_S", 0.05)
    repository = Repository(root)
    repository.answers.clear()
    cache = SiteCache(work, repository=repository)
    assert public in send(home, environment, cache, {public})
    eventually(lambda: repository.refreshed)
    cache.missing([Blob("sha256:" + "0" * 64, 1)], {"sha256:" + "0" * 64})
    assert repository.refreshed == 1  # it is still being asked
    repository.answers.set()


def test_what_another_looks_for_at_the_same_time_says_nothing_of_ours(
    root, public, monkeypatch
):
    monkeypatch.setattr(module, "PATIENCE_S", 60.0)
    repository = Repository(root)
    repository.answers.clear()
    layers = module.FetchedLayers(repository, lambda *_: None)
    other = threading.Thread(target=layers.fetch, args=(["sha256:" + "0" * 64],))
    other.start()
    eventually(lambda: repository.refreshed == 1)
    threading.Timer(0.1, repository.answers.set).start()
    assert layers.fetch([public]) == {public}
    other.join()


def test_one_that_fails_is_left_alone_for_a_while(root, public):
    repository = Repository(root)
    repository.error = CacheError("its signature is not to be believed")
    now = [100.0]
    layers = module.FetchedLayers(repository, lambda *_: None, lambda: now[0])
    assert layers.fetch([public]) == frozenset()
    assert layers.fetch([public]) == frozenset()
    assert repository.refreshed == 1
    now[0] += module.AGAIN_S
    repository.error = None
    assert layers.fetch([public]) == {public}


def test_what_fails_on_its_way_is_not_coming_any_more(root, public):
    def refuse(digest: str, folder: Path) -> None:
        raise OSError("no space")

    layers = module.FetchedLayers(Repository(root), refuse)
    assert layers.fetch([public]) == {public}
    eventually(lambda: layers.fetch([public]) == frozenset())


def test_a_list_of_trees_without_links_is_as_before(tmp_path):
    path = tmp_path / "x.json"
    assert not is_ready(path)
    path.write_text('{"parts": []}')
    assert is_ready(path)


def test_a_mount_that_cannot_be_looked_at_has_nothing():
    # As one whose connection is lost, the system says something else than "not there".
    mount = Path("/") / ("x" * 300)
    assert module.MountedLayers(mount).folder(f"sha256:{'a' * 64}") is None


def test_what_can_be_read_again_gives_way_to_what_is_sent(work, root, monkeypatch):
    repository = Repository(root)
    cache = SiteCache(work, repository=repository)
    free = [10, 10, 200]
    monkeypatch.setattr(
        shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(999, 0, free.pop(0))
    )
    cache.make_room(10)
    assert repository.given_up == []
    cache.make_room(100)
    assert repository.given_up == [100]
    free += [10, 10]
    with pytest.raises(NoSpaceError, match="do not fit"):
        cache.make_room(100)


def test_what_is_sooner_read_lazily_is_not_waited_for_and_comes_later(
    home, environment, public, root, work, monkeypatch
):
    monkeypatch.setattr(module, "LATER_S", 0.2)
    asked = []
    repository = Repository(root)

    def is_sooner(image, layers):
        asked.append((image, set(layers)))
        return True

    cache = SiteCache(work, repository=repository, is_sooner=is_sooner)
    image = "sha256:" + "7" * 64
    blobs = {blob.digest: blob for blob in home.blobs(environment)}
    for missing in cache.missing(blobs.values(), {public}, image):
        assert missing.digest != public
        incoming = cache.incoming(missing.digest, blobs[missing.digest].size)
        incoming.append(0, home.store.read(missing.digest))
        assert incoming.commit()
    assert asked == [(image, {public})]
    # A pod is taken, though it cannot be made ready here.
    assert cache.missing_of(environment.image) == ()
    with pytest.raises(MissingBlobsError):
        cache.ensure_image(environment.image)
    assert not repository.fetched
    eventually(lambda: cache.has(public))
    cache.ensure_image(environment.image)
    cache.unpin("uid")
    cache.forget_pods(lambda _: True, 0.0)
    assert repository.forgotten == ["uid", "vanished"]


def test_what_was_to_come_later_is_asked_for_after_a_kill(
    home, environment, public, root, work, monkeypatch
):
    monkeypatch.setattr(module, "LATER_S", 3600.0)
    monkeypatch.setattr(module, "STILL_S", 0.01)
    can = [True]
    killed = Repository(root)
    cache = SiteCache(
        work,
        repository=killed,
        is_sooner=lambda *_: True,
        can_mount=lambda: can[0],
    )
    cache.pin("uid", [environment.image])
    assert send(home, environment, cache, {public}, "sha256:" + "7" * 64)
    fetch_pinned(cache)  # as long as it lives, nothing is to come sooner
    assert cache.missing_of(environment.image) == ()
    repository = Repository(root)
    after = SiteCache(work, repository=repository)
    fetch_pinned(after)
    eventually(lambda: after.has(public))
    fetch_pinned(after)
    assert repository.fetched == [public]
    assert killed.fetched == []
    can[0] = False


def test_what_nobody_can_read_lazily_any_more_comes_at_once(
    home, environment, public, root, work, monkeypatch
):
    monkeypatch.setattr(module, "LATER_S", 1e6)
    monkeypatch.setattr(module, "STILL_S", 0.01)
    can = iter([True, True])
    cache = SiteCache(
        work,
        repository=Repository(root),
        is_sooner=lambda *_: True,
        can_mount=lambda: next(can, False),
    )
    cache.missing(home.blobs(environment), {public}, "sha256:" + "7" * 64)
    eventually(lambda: cache.has(public))


def test_what_did_not_come_later_is_read_lazily_no_more(
    home, environment, public, root, work, monkeypatch
):
    monkeypatch.setattr(module, "LATER_S", 0.0)
    repository = Repository(root)

    def is_sooner(_image, _layers):
        shutil.rmtree(root)  # gone, for whoever fetches it
        return True

    def layer(_digest):
        raise CacheError("nobody answers")

    repository.layer = layer
    cache = SiteCache(work, repository=repository, is_sooner=is_sooner)
    wanted = {blob.digest: blob for blob in home.blobs(environment)}
    image = "sha256:" + "7" * 64
    for missing in cache.missing(wanted.values(), {public}, image):
        if missing.digest != public:
            incoming = cache.incoming(missing.digest, wanted[missing.digest].size)
            incoming.append(0, home.store.read(missing.digest))
            assert incoming.commit()
    eventually(lambda: cache.missing_of(environment.image) == (public,))
    (missing,) = cache.missing([wanted[public]], {public}, image)
    assert not missing.is_coming  # it is to be sent


def test_what_is_sooner_whole_is_on_its_way_at_once(
    home, environment, public, root, work
):
    cache = SiteCache(work, repository=Repository(root), is_sooner=lambda *_: False)
    image = "sha256:" + "7" * 64
    for missing in cache.missing(home.blobs(environment), {public}, image):
        assert missing.is_coming == (missing.digest == public)
    assert cache.missing_of(environment.image) == (environment.image,)
    eventually(lambda: cache.has(public))


def test_trees_of_links_are_one_pods_and_the_snapshot_is_ready_for_nobody_else(
    home, environment, public, root, work, tmp_path, monkeypatch
):
    cache = SiteCache(work)
    send(home, environment, cache, {public})
    image = read_image(cache.store, environment.image)
    for part in image.snapshot.parts:
        for digest in {*part.layers} - {public}:
            cache.ensure_layer(digest)
    folder, top = tmp_path / "pod", Path("/run/nowhere")
    folder.mkdir()
    links = {b"env/numpy/__init__.py": b"/run/nowhere/env/numpy/__init__.py"}
    trees = compose_lazily(
        work, cache.layers, image, cache.store, {public}, links, top, folder
    )
    assert trees["env"].parent == folder
    assert trees["code"].parent == work / "trees"
    link = trees["env"] / "numpy/__init__.py"
    assert os.fsencode(link.readlink()) == links[b"env/numpy/__init__.py"]
    assert (trees["env"] / "pyvenv.cfg").read_text() == "private\n"
    assert not cache.is_ready(environment.image)
    cache.pin("uid", [environment.image])
    monkeypatch.setattr(collection, "YOUNG_S", -1.0)
    cache.collect()
    assert trees["code"].is_dir()  # the pod's, though nobody else may use the snapshot
    cache.ensure_image(environment.image)  # the blob was sent
    assert cache.is_ready(environment.image)
    assert not (part_of(work, environment.image, "env") / "numpy").is_symlink()
