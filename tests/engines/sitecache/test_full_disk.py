"""A site's cache on a real disk that is too small: tmpfs, short of bytes or of inodes."""

import contextlib
import os
import random
import subprocess
import sys

import pytest

from offload.cache import NoSpaceError, SiteCache
from offload.cache.reading import RepositoryCache
from offload.cache.reading.mounting import Mount, can_mount

pytestmark = [
    pytest.mark.engines,
    pytest.mark.skipif(os.geteuid() != 0, reason="mounts: needs root"),
]

MIB = 2**20


@pytest.fixture
def make_disk(tmp_path):
    """Mount a disk of so many bytes and inodes; return where."""
    with contextlib.ExitStack() as stack:

        def make(name, size, inodes=100_000):
            where = tmp_path / name
            where.mkdir()
            options = f"size={size},nr_inodes={inodes},mode=700"
            subprocess.run(
                ["mount", "-t", "tmpfs", "-o", options, "none", where], check=True
            )
            stack.callback(subprocess.run, ["umount", "-l", where], check=True)
            return where

        yield make


@pytest.fixture
def make_cache(settings):
    with contextlib.ExitStack() as stack:
        yield lambda where: stack.enter_context(RepositoryCache(where, settings))


def left_over(cache):
    trees = {path.removeprefix("images/") for path in cache.trees()}
    return [
        *cache.folder.glob("*/.*"),
        *(p for p in (cache.folder / "drafts").glob("*/*") if p.is_file()),
        *(cache.folder / "trash").iterdir(),
        *(p for p in (cache.folder / "images").iterdir() if p.stem not in trees),
    ]


@pytest.mark.parametrize(
    ("size", "inodes"),
    [(40 * MIB, 100_000), (400 * MIB, 2000)],
    ids=["bytes", "inodes"],
)
def test_the_oldest_gives_way_and_what_is_pinned_stays(
    make_disk, make_cache, image, other, expected, contents, size, inodes
):
    cache = make_cache(make_disk("disk", size, inodes))
    assert contents(cache.image(image)) == expected
    tree = cache.image(other)
    assert cache.trees() == [f"images/{other[7:]}"]
    assert left_over(cache) == []
    cache.pin("job", other)
    before = contents(tree)
    with pytest.raises(NoSpaceError, match="used by jobs|no space left") as told:
        cache.image(image)
    assert len(str(told.value).splitlines()) == 1
    assert left_over(cache) == []
    assert contents(cache.image(other)) == before
    cache.unpin("job")
    assert contents(cache.image(image)) == expected


def test_what_can_never_fit_is_one_line_and_costs_nothing(
    make_disk, settings, published, image, small
):
    where = make_disk("disk", 16 * MIB)
    document = where / "cache.yaml"
    document.write_text(
        f"fqrn: {settings.fqrn}\nurls: [{settings.urls[0]}]\n"
        f"proxies: [{settings.proxies[0]}]\nmaster_keys: [{published[1]}]\n"
    )
    command = [sys.executable, "-m", "offload.cache.reading.main"]
    command += ["--config", document, "--folder", where]

    def run(*arguments):
        return subprocess.run(
            [*command, *arguments], capture_output=True, text=True, check=False
        )

    assert run("get", small).returncode == 0
    done = run("get", image)
    assert (done.returncode, done.stdout) == (1, "")
    assert "bytes do not fit" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    # What was here is here still: it is not given up for nothing.
    assert f"images/{small[7:]}" in run("status").stdout
    assert run("verify").stdout == "1 tree read, 0 entries mended\n"


def fill(filler):
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def test_a_disk_that_others_have_filled(
    make_disk, make_cache, image, expected, contents
):
    where = make_disk("disk", 60 * MIB)
    make_cache(where).image(image)
    filler = where / "filler"
    fill(filler)
    # What is here needs no room, for a process that has seen nothing of it either.
    cache = make_cache(where)
    assert contents(cache.image(image)) == expected
    with pytest.raises(NoSpaceError, match="no space left"):
        cache.pin("job", image)
    filler.unlink()
    cache.pin("job", image)
    assert [p.name for p in (cache.folder / "pins").iterdir()] == ["job"]


def test_a_mount_reads_on_where_nothing_can_be_noted(
    make_disk, make_cache, image, expected, contents, tmp_path
):
    assert can_mount(), "FUSE is missing: run .ci/system-packages"
    disk, where = make_disk("disk", 60 * MIB), tmp_path / "mounted"
    where.mkdir()
    cache = make_cache(disk)
    with Mount(cache, image, where):
        assert contents(where) == expected
    for trace in (cache.folder / "traces").iterdir():
        trace.unlink()
    fill(disk / "filler")
    with Mount(make_cache(disk), image, where):
        assert contents(where) == expected
    assert [*(cache.folder / "traces").iterdir()] == []


def test_a_mount_shows_what_cannot_be_kept(
    make_disk, make_cache, image, expected, tmp_path
):
    assert can_mount(), "FUSE is missing: run .ci/system-packages"
    disk, where = make_disk("disk", 60 * MIB), tmp_path / "mounted"
    where.mkdir()
    cache = make_cache(disk)
    with Mount(cache, image, where):
        list(where.rglob("*"))  # what is where is known now
        fill(disk / "filler")
        for name in ("env/lib0.so", "env/p07/m007.py", "env/lib1.so"):
            assert (where / name).read_bytes() == expected[name]
    assert cache.size() < len(expected["env/lib0.so"])


def test_blobs_travel_as_before_on_a_disk_that_the_repository_has_filled(
    make_disk, make_cache, image
):
    where = make_disk("disk", 40 * MIB)
    repository = make_cache(where / "repository")
    repository.image(image)
    cache = SiteCache(where, repository=repository)
    data = random.Random(1).randbytes(30 * MIB)
    cache.make_room(len(data))
    incoming = cache.incoming(f"sha256:{64 * '0'}", len(data))
    assert incoming.append(0, data) == len(data)
    assert repository.trees() == []
