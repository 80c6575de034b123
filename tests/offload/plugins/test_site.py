"""Pods are taken in once, whatever is asked for at the same time."""

import asyncio
import threading
from types import SimpleNamespace

import pytest

from offload.interlink import RetrievedPodData
from offload.plugins.problems import ProblemError
from offload.plugins.records import WorkArea
from offload.plugins.site import Site
from offload.plugins.table import Table


class SlowArea(WorkArea):
    """A disk that is slow, and then full for who writes a pod that is there."""

    def __init__(self, path) -> None:
        super().__init__(path)
        self.begun = threading.Event()
        self._second = threading.Event()

    def accept(self, record, data) -> None:
        if self.begun.is_set():
            self._second.set()
            raise OSError("the disk is full")
        self.begun.set()
        self._second.wait(0.1)
        super().accept(record, data)


@pytest.fixture
def site(tmp_path):
    return Site(
        config=SimpleNamespace(work=tmp_path),
        executor=SimpleNamespace(options=lambda _: ()),
        cache=None,
        table=Table(SlowArea(tmp_path / "work")),
        reconciler=SimpleNamespace(wake=lambda **_: None),
        free_bytes=lambda: 1 << 40,
    )


def named(name):
    container = {"name": "main", "image": "x", "command": ["true"]}
    spec = {"containers": [container]}
    pod = {"metadata": {"name": name, "uid": "u-1"}, "spec": spec}
    return RetrievedPodData.model_validate({"pod": pod, "container": []})


async def test_who_asks_again_meanwhile_does_not_undo_what_was_accepted(site):
    await asyncio.gather(*(site.create([named("one")]) for _ in range(2)))
    (entry,) = site.table
    assert list(site.table.work.records()) == [entry.record]


async def test_of_two_pods_with_one_uid_that_come_at_once_one_is_refused(site):
    answers = await asyncio.gather(
        *(site.create([named(name)]) for name in ("one", "two")), return_exceptions=True
    )
    (refused,) = (each for each in answers if isinstance(each, ProblemError))
    (entry,) = site.table
    assert f"expected pod {entry.record.name!r} again" in refused.detail


async def test_what_is_deleted_while_it_comes_ends(site):
    creating = asyncio.create_task(site.create([named("one")]))
    await asyncio.to_thread(site.table.work.begun.wait)
    deleted = await site.delete("u-1")
    await creating
    (entry,) = site.table
    assert deleted is entry
    assert entry.record.is_unwanted
