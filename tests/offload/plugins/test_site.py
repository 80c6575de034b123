"""Pods that are sent at the same time."""

import asyncio
from types import SimpleNamespace

from offload.interlink import RetrievedPodData
from offload.plugins.problems import ProblemError
from offload.plugins.records import WorkArea
from offload.plugins.site import Site
from offload.plugins.table import Table


def named(name):
    container = {"name": "main", "image": "x", "command": ["true"]}
    pod = {
        "metadata": {"name": name, "uid": "u-1"},
        "spec": {"containers": [container]},
    }
    return RetrievedPodData.model_validate({"pod": pod, "container": []})


async def test_of_two_pods_with_one_uid_that_come_at_once_one_is_refused(tmp_path):
    site = Site(
        config=SimpleNamespace(work=tmp_path),
        executor=SimpleNamespace(options=lambda _: ()),
        cache=None,
        table=Table(WorkArea(tmp_path / "work")),
        reconciler=SimpleNamespace(wake=lambda: None),
        free_bytes=lambda: 1 << 40,
    )
    answers = await asyncio.gather(
        *(site.create([named(name)]) for name in ("one", "two")), return_exceptions=True
    )
    (refused,) = (each for each in answers if isinstance(each, ProblemError))
    (entry,) = site.table
    assert f"expected pod {entry.record.name!r} again" in refused.detail
