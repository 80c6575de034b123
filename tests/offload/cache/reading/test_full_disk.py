"""A disk that is full from some moment on: one line, nothing half there, and it goes on."""

import builtins
import errno
import io
import os

import pytest

from offload.cache.errors import CacheError, NoSpaceError

EFFECTS = ("link", "mkdir", "rename", "replace", "symlink", "write")
CREATES = os.O_CREAT


class Disk:
    """Counts what takes room, and refuses it while it is full."""

    def __init__(self, monkeypatch):
        self.left = None
        self.used = 0
        for name in EFFECTS:
            monkeypatch.setattr(os, name, self._bounded(getattr(os, name)))
        opened, made = os.open, io.open

        def open_(path, flags, *more, **options):
            if flags & CREATES:
                self._take(path)
            return opened(path, flags, *more, **options)

        def make(path, mode="r", *more, **options):
            if set(mode) & set("wxa+"):
                self._take(path)
            return made(path, mode, *more, **options)

        monkeypatch.setattr(os, "open", open_)
        for module in (builtins, io):
            monkeypatch.setattr(module, "open", make)

    def _bounded(self, effect):
        def bounded(*arguments, **options):
            self._take(arguments[0])
            return effect(*arguments, **options)

        return bounded

    def _take(self, path):
        if "trash" in str(path) or str(path).endswith("locks"):
            return  # what is given up is not lacking room; the locks are there
        self.used += 1
        if self.left is not None and self.used > self.left:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)


@pytest.fixture
def image(publisher):
    publisher.publish(old=publisher.small[:5], new=publisher.small)
    return publisher.digest("new")


def halves(cache):
    found = [p for p in cache.folder.glob("*/.*") if p.exists()]
    found += [p for p in (cache.folder / "drafts").glob("*/*") if p.is_file()]
    trees = {path.removeprefix("images/") for path in cache.trees()}
    found += [p for p in (cache.folder / "images").iterdir() if p.stem not in trees]
    return found


def needed(make_cache, image, disk):
    """Return how many effects a cold job has."""
    cache = make_cache("counted")
    before = disk.used
    cache.image(image)
    return disk.used - before


def test_full_for_good_from_any_moment_on(make_cache, image, monkeypatch):
    disk = Disk(monkeypatch)
    total = needed(make_cache, image, disk)
    assert total > 50
    # The last ones each: they make it a tree, and what is moved away needs room too.
    moments = [*range(0, total - 12, 8), *range(total - 12, total)]
    for number, left in enumerate(moments):
        cache = make_cache(f"full-{number}")
        disk.left = disk.used + left
        with pytest.raises(CacheError, match="No space left|do not fit") as told:
            cache.image(image)
        disk.left = None
        assert len(str(told.value).splitlines()) == 1
        assert halves(cache) == []
        assert cache.trees() == []
        later = make_cache(f"full-{number}")
        assert (later.image(image) / "env/one.py").stat().st_size == 720


def test_room_that_can_be_made_is_made(make_cache, publisher, image, monkeypatch):
    disk = Disk(monkeypatch)
    total = needed(make_cache, image, disk)
    for number, left in enumerate(range(0, total, 25)):
        cache = make_cache(f"tight-{number}")
        cache.image(publisher.digest("old"))
        store = cache._reader.store
        drop = store.drop

        def give_way(content, drop=drop):
            disk.left = None
            drop(content)

        monkeypatch.setattr(store, "drop", give_way)
        disk.left = disk.used + left
        assert (cache.image(image) / "env/one.py").stat().st_size == 720
        assert f"images/{image[7:]}" in cache.trees()
        assert halves(cache) == []


def test_a_cached_image_needs_no_room(make_cache, image, monkeypatch):
    make_cache("site").image(image)
    cache = make_cache("site")
    disk = Disk(monkeypatch)
    disk.left = disk.used
    assert (cache.image(image) / "env/one.py").stat().st_size == 720


def test_what_is_pinned_stays_and_what_does_not_fit_costs_nothing(
    make_cache, publisher, image, monkeypatch
):
    old = publisher.digest("old")
    cache = make_cache("site")
    cache.pin("job", old)
    tree = cache.image(old)
    disk = Disk(monkeypatch)
    disk.left = disk.used
    with pytest.raises(NoSpaceError, match="used by jobs|no space left"):
        cache.image(image)
    with pytest.raises(NoSpaceError, match="no space left"):
        cache.pin("other", image)
    assert cache.trees() == [f"images/{old[7:]}"]
    assert cache.image(old) == tree
