"""kill -9 before any one effect on the disk: what is there is whole, and nothing leaks."""

import hashlib
import json
import stat
import subprocess
import sys
import time

import pytest

from offload.cache import SiteCache
from offload.cache.cvmfs.names import ObjectName
from offload.cache.cvmfs.objects import content_of
from offload.cache.reading.bundles import Piece, items, path_of
from offload.cache.reading.store import Content

SITE = """
import json, os, signal, sys
from pathlib import Path
from offload.cache import SiteCache
from offload.cache.reading import RepositoryCache, RepositorySettings
from offload.cache.reading import transfer  # before the fork

settings = RepositorySettings.model_validate(json.loads(sys.argv[1]))
image, other, layer = sys.argv[2:]
EFFECTS = {f"os.{name}" for name in
           "chmod link mkdir remove rename rmdir symlink utime".split()}
left = 0

def watch(event, arguments):
    global left
    changes = event == "open" and isinstance(arguments[2], int)
    if event in EFFECTS or changes and arguments[2] & (os.O_WRONLY | os.O_RDWR):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

def live(folder):
    site = SiteCache(folder)
    with RepositoryCache(folder / "repository", settings) as cache:
        cache.pin("job", image)
        cache.image(image)
        cache.bundle(image)
        cache.materialise(f"/.flat/{image[7:9]}/{image[7:]}", folder / "copy")
        tree = cache.image(other)
        (tree / "env/one.py").unlink()
        cache.image(other)
        site.layers.adopt(layer, cache.layer(layer))
    small = settings.model_copy(update={"quota_bytes": 0})
    with RepositoryCache(folder / "repository", small) as cache:
        cache.collect()
        cache.unpin("job")

print("ready", flush=True)
for line in sys.stdin:
    count, folder = line.split()
    child = os.fork()
    if not child:
        left = int(count)
        sys.addaudithook(watch)
        live(Path(folder))
        print(-left, flush=True)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        print("killed", flush=True)
"""


@pytest.fixture
def names(publisher):
    """Return an image with a bundle, another one and a layer, published."""
    own = publisher.file(b"env/own.py", b"own = 1\n")
    small = tuple(i for i in publisher.small if i.path != b"env/large.so")
    publisher.publish(image=publisher.small, other=[*small, own])
    image, other, layer = map(publisher.digest, ("image", "other", "layer"))
    place = f"/.layers/{layer[7:9]}/{layer[7:]}/layerfs".encode()
    publisher.publish_at(place, *small)
    found = next(p for p in publisher.objects() if not p.name[-1].isupper())
    name = ObjectName.parse(found.parent.name + found.name)
    content = content_of(name, found.read_bytes())
    bundle = items([Piece(name, b"env", len(content))], lambda _: content)
    publisher.publish_at(path_of(image), *bundle)
    return image, other, layer


@pytest.fixture
def site(settings, names):
    document = json.dumps(settings.model_dump(mode="json"))
    process = subprocess.Popen(
        [sys.executable, "-c", SITE, document, *names],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"

    def live(folder, count):
        """Live through a site's day, killed before so many effects; say how it ended."""
        process.stdin.write(f"{count} {folder}\n")
        process.stdin.flush()
        return process.stdout.readline().strip()

    yield live
    process.stdin.close()
    process.wait(20)
    process.stdout.close()


def check_contents(folder):
    for path in folder.glob("content/*/*"):
        content, found = Content.parse(path.name), path.stat()
        assert hashlib.blake2b(path.read_bytes(), digest_size=20).hexdigest() == (
            content.digest
        )
        assert stat.S_IMODE(found.st_mode) == content.mode
        assert found.st_mtime == content.mtime


def check_after(folder, make_cache, names, publisher, monkeypatch):
    image, other, layer = names
    cache = make_cache(folder / "repository")
    check_contents(cache.folder)
    site = SiteCache(folder)
    for pinned in [*(cache.folder / "pins").glob("[!.]*")]:
        assert json.loads(pinned.read_bytes()) == [f"images/{image[7:]}"]
    complete = {"images": {image[7:]: 11, other[7:]: 11}, "layers": {layer[7:]: 10}}
    for tree in cache.trees():
        kind, name = tree.split("/")
        files = [*(cache.folder / tree).rglob("*")]
        assert len(files) in {complete[kind][name], complete[kind][name] - 1}
    if site.layers.has(layer):
        assert (
            len([*site.layers.path(layer).rglob("*")]) == complete["layers"][layer[7:]]
        )
    # It goes on as if nothing had been.
    if not (folder / "copy").exists():
        cache.materialise(f"/.flat/{image[7:9]}/{image[7:]}", folder / "copy")
    assert len([*(folder / "copy").rglob("*")]) == 11
    assert not [*folder.glob(".*")]
    for digest in (image, other):
        assert len([*cache.image(digest).rglob("*")]) == 11
    assert cache.bundle(image)
    site.layers.adopt(layer, cache.layer(layer))
    assert cache.verify() == 0
    check_contents(cache.folder)
    # An hour later nothing is left that is nobody's.
    cache.unpin("job")
    later = time.time() + 7200
    with monkeypatch.context() as patched:
        patched.setattr(time, "time", lambda: later)
        cache.collect()
        site.collect()
    assert [*cache.folder.glob("*/.*"), *folder.glob("*/.*")] == []
    for empty in ("drafts/*/*", "trash/*", "pins/*"):
        assert [*cache.folder.glob(empty)] == []
    for kind in ("images", "layers"):
        stems = {path.stem for path in (cache.folder / kind).iterdir()}
        assert {f"{kind}/{stem}" for stem in stems} <= set(cache.trees())
    assert (cache.folder / "locks").stat().st_size == 0
    cache.close()


def die_at(every, tmp_path, site, make_cache, names, publisher, monkeypatch):
    count = 1
    # How many effects a day has varies by a few: threads open the file of locks too.
    while site(folder := tmp_path / f"killed-{count}", count) == "killed":
        check_after(folder, make_cache, names, publisher, monkeypatch)
        count += every
    assert count > 200


def test_what_was_fetched_before_is_not_fetched_again(
    tmp_path, site, make_cache, names, origin
):
    for count in (40, 80, 120):
        origin.requests.clear()
        folder = tmp_path / f"killed-{count}"
        assert site(folder, count) == "killed"
        cache = make_cache(folder / "repository")
        cache.image(names[0])
        asked = [n for path, n in origin.requests.items() if "/data/" in path]
        assert len(asked) > 8
        # But for what was on its way at that moment, and a file's two parts.
        assert sum(asked) - len(asked) <= cache.settings.connections + 1


def test_killed_now_and_then(tmp_path, site, make_cache, names, publisher, monkeypatch):
    die_at(61, tmp_path, site, make_cache, names, publisher, monkeypatch)


@pytest.mark.engines
def test_killed_often(tmp_path, site, make_cache, names, publisher, monkeypatch):
    die_at(5, tmp_path, site, make_cache, names, publisher, monkeypatch)
