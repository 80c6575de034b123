"""Pods in folders of a work area, and wrappers to run them."""

import json

import pytest

from offload.plugins.node.settings import NodeSettings
from tests.offload.plugins.node.pods import PodAtHand, make_pod


@pytest.fixture
def work(tmp_path):
    return tmp_path / "work"


@pytest.fixture
def make(work):
    """Make a pod's folder: ``make(script, runtime=..., uid=..., **pod)``."""
    pods = []

    def make(script="true", *, runtime="none", uid="b9f2", restart_delay_s=0.05, **pod):
        path = work / "pods" / uid
        path.mkdir(parents=True)
        settings = NodeSettings(
            runtime=runtime,
            scratch=str(work / "scratch"),
            restart_delay_s=restart_delay_s,
        )
        settings.save(work)
        (path / "pod.json").write_text(json.dumps(make_pod(script, **pod)))
        pods.append(PodAtHand(path))
        return pods[-1]

    yield make
    for pod in pods:
        pod.close()
