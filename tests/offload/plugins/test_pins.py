"""Snapshots of pods that wait or run are kept; nobody else's are, whatever was killed."""

import os

import pytest

from offload.cache import SiteCache
from offload.interlink import RetrievedPodData
from offload.plugins.config import PluginConfig
from offload.plugins.problems import ProblemError
from offload.plugins.records import Stage
from offload.plugins.retention import VANISHED_S
from offload.plugins.site import Site

IMAGE = f"sha256:{'a' * 64}"


class Cache(SiteCache):
    """Says in which order it was asked what, and which blobs are lacking."""

    def __init__(self, work):
        super().__init__(work)
        self.asked = []
        self.lacks = ()

    def pin(self, uid, images):
        self.asked.append(("pin", uid))
        super().pin(uid, images)

    def missing_of(self, image):
        self.asked.append(("missing", image))
        return self.lacks

    def unpin(self, uid):
        self.asked.append(("unpin", uid))
        super().unpin(uid)


@pytest.fixture
def cache(world):
    world.cache = Cache(world.work.path)
    world.scheduler.options = lambda _pod: ()
    world.start()
    return world.cache


@pytest.fixture
def create(world, cache):
    async def create(uid):
        site = Site(
            PluginConfig(work=world.work.path),
            world.table,
            world.scheduler,
            world.loop,
            cache,
            lambda: 10**12,
            world.clock,
        )
        volume = {"image": {"reference": f"analysis-facility/snapshot@{IMAGE}"}}
        pod = {
            "metadata": {"uid": uid, "name": uid},
            "spec": {
                "containers": [{"name": "main"}],
                "volumes": [{"name": "snapshot", **volume}],
            },
        }
        return await site.create([RetrievedPodData.model_validate({"pod": pod})])

    return create


def pinned(world):
    return {path.name for path in (world.work.path / "pins").glob("[!.]*")}


async def test_a_pod_is_pinned_before_anything_is_looked_for(create, cache):
    await create("u-1")
    assert cache.asked == [("pin", "u-1"), ("missing", IMAGE)]
    assert cache.pins.images() == {IMAGE}


async def test_it_stays_while_the_pod_waits_and_runs_and_ends_once(
    world, create, cache
):
    await create("u-1")
    for state in ("PENDING", "RUNNING"):
        await world.step(61)
        world.scheduler.set(state)
        world.start()  # as after a kill -9 of the plugin
        await world.step(61, times=2)
        assert world.stages() == [Stage.SUBMITTED]
        assert pinned(world) == {"u-1"}
    world.scheduler.set("CANCELLED", nodes="")
    entry = world.table.get("u-1")
    world.table.save(entry, entry.record.changed(is_unwanted=True))
    for _ in range(8):
        await world.step(2)
    assert world.stages() == [Stage.ENDED]
    assert pinned(world) == set()
    await world.step(61, times=1)
    assert cache.asked.count(("unpin", "u-1")) == 1


async def test_killed_between_the_end_and_the_unpinning(world, create, cache):
    await create("u-1")
    entry = world.table.get("u-1")
    ended = entry.record.changed(stage=Stage.ENDED, ended_at=world.now)
    world.table.save(entry, ended)
    world.start()
    assert pinned(world) == {"u-1"}
    await world.step(61)
    assert pinned(world) == set()


async def test_a_pod_that_never_came_back_is_forgotten_after_a_day(
    world, create, cache
):
    cache.lacks = (f"sha256:{'b' * 64}",)
    with pytest.raises(ProblemError, match="not at this site"):
        await create("u-1")
    path = world.work.path / "pins/u-1"
    os.utime(path, (world.now, world.now))
    world.start()
    await world.step(61)
    assert pinned(world) == {"u-1"}  # its blobs are on their way
    await world.step(VANISHED_S)
    assert pinned(world) == set()


async def test_a_pod_whose_record_is_of_another_time_keeps_its_pin(
    world, create, cache
):
    await create("u-1")
    (world.work.pod("u-1").path / "record.json").write_text('{"stage": "later"}')
    path = world.work.path / "pins/u-1"
    os.utime(path, (world.now, world.now))
    world.start()
    assert list(world.table) == []
    await world.step(VANISHED_S + 61)
    assert pinned(world) == {"u-1"}
