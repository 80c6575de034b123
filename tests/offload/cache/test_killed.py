"""kill -9 while a site unpacks: what is there is whole, and the next one goes on."""

import signal
import subprocess
import sys
import time

import pytest

from offload.cache import SiteCache

UNPACK = """
import os, sys
from pathlib import Path
from offload.cache import SiteCache
cache = SiteCache(Path(sys.argv[1]))
print("ready", flush=True)
cache.ensure_image(sys.argv[2])
"""


def unpacker(work, image):
    process = subprocess.Popen(
        [sys.executable, "-c", UNPACK, work, image], stdout=subprocess.PIPE
    )
    process.stdout.readline()
    return process


@pytest.fixture
def snapshot(home):
    members = [home.file(b"%d" % n, b"%d" % n * 100) for n in range(1500)]
    layers = [home.layer("code", members[i::3]) for i in range(3)]
    return home.snapshot(code=(layers, members))


def test_killed_at_any_moment_the_next_one_completes(home, work, snapshot):
    cache = SiteCache(work)
    home.send(snapshot, cache)
    delay = 0.0
    while not cache.is_ready(snapshot.image):
        process = unpacker(work, snapshot.image)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        delay += 0.01
        for layer in cache.layers.digests():
            assert len(list(cache.layers.path(layer).rglob("*"))) in {501, 1501}
    cache.ensure_image(snapshot.image)
    tree = work / "trees" / snapshot.part("code").tree.removeprefix("sha256:")
    assert len(list(tree.iterdir())) == 1500


def test_several_at_once_unpack_each_layer_once(home, work, snapshot):
    cache = SiteCache(work)
    home.send(snapshot, cache)
    processes = [unpacker(work, snapshot.image) for _ in range(3)]
    assert [(p.communicate(), p.returncode)[1] for p in processes] == [0, 0, 0]
    assert cache.is_ready(snapshot.image)
    assert not [p for p in (work / "layers").iterdir() if "draft" in p.name]
    assert not [p for p in (work / "trees").iterdir() if "draft" in p.name]
