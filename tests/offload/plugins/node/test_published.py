"""What a pod has from the repository by itself: where that fails."""

import hashlib
import json
import signal
import threading
import time
from dataclasses import replace

import pytest

from offload.cache import SiteCache
from offload.plugins.node import nodes
from offload.plugins.node import published as module
from offload.plugins.node.folder import ExitCode, PodError
from offload.plugins.node.published import Published, UnwantedError
from offload.plugins.node.settings import NodeSettings
from offload.snapshot import Base, Entry, Kind, Part, Snapshot, Tree, unpack
from offload.snapshot.images.image import write_image
from offload.snapshot.images.manifests import write_trees
from offload.snapshot.layers.writing import LayerWriter
from tests.offload.plugins.node.pods import PodAtHand, make_pod

BASE = Base("x86_64", "glibc", "2.36", "/usr/bin/python3", "3.11.2")


@pytest.fixture
def make(tmp_path):
    """Make what a pod has of a repository that this node has no way to."""

    def make(*, runtime="bubblewrap", is_lazy=True, is_wanted=lambda: True):
        key, scratch = tmp_path / "key.pub", tmp_path / "scratch"
        key.write_text("")
        scratch.mkdir(exist_ok=True)
        url = "http://127.0.0.1:9/x"
        reading = {"fqrn": "a.b", "urls": [url], "master_keys": [str(key)]}
        return Published(
            "uid",
            "n1",
            tmp_path / "work",
            reading,
            scratch,
            runtime=runtime,
            is_lazy=is_lazy,
            is_wanted=is_wanted,
        )

    return make


@pytest.fixture
def site(tmp_path):
    return SiteCache(tmp_path / "work")


@pytest.fixture
def snapshot(site, tmp_path):
    """An environment whose one layer is public, and not here; and that layer, as it is
    where somebody has unpacked it."""
    content = b"public\n"
    sha256 = hashlib.sha256(content).hexdigest()
    entry = Entry(b"x.py", Kind.FILE, 0o644, len(content), sha256)
    with LayerWriter(site.store, "env") as writer:
        writer.add(entry, content)
        layer = replace(writer.commit(), is_public=True)
    tree = Tree.of([entry])
    part = Part("env", "/e", tree.digest, tree.files, tree.size, (layer.digest,))
    about = Snapshot(
        f"sha256:{64 * '0'}", "", (part,), BASE, None, "2026-11-21T00:00:00Z"
    )
    image = write_image(
        site.store, about, [layer, write_trees(site.store, {"env": tree})]
    ).image
    blob, unpacked = site.store.blob_path(layer.digest), tmp_path / "unpacked"
    unpack(blob, unpacked, digest=layer.digest)
    blob.unlink()
    return image, lambda: site.layers.adopt(layer.digest, unpacked)


def noted(tmp_path):
    return nodes.noted(tmp_path / "work", "n1", time.time())


@pytest.mark.parametrize("is_lazy", [True, False])
def test_what_is_not_a_snapshot_here_is_said_with_the_node(make, site, is_lazy):
    published = make(is_lazy=is_lazy)
    with pytest.raises(PodError, match="node n1: ") as caught:
        published.trees(site, "sha256:" + 64 * "7")
    assert len(str(caught.value).splitlines()) == 1
    published.close()
    assert not published.problem


@pytest.mark.parametrize("is_lazy", [True, False])
def test_what_nobody_brings_in_time_is_said_and_noted(
    make, site, snapshot, tmp_path, monkeypatch, is_lazy
):
    monkeypatch.setattr(module, "_PATIENCE_S", 0.0)
    with pytest.raises(PodError, match=r"node n1: .*127\.0\.0\.1:9.*refused") as caught:
        make(is_lazy=is_lazy).trees(site, snapshot[0])
    assert len(str(caught.value).splitlines()) == 1
    assert "refused" in noted(tmp_path)
    (fact,) = (tmp_path / "work/nodes").iterdir()
    assert fact.name == "n1.json"
    assert not nodes.can_read_lazily(tmp_path / "work", time.time())
    # An outage is no property of the node.
    assert nodes.noted(tmp_path / "work", "n1", time.time() + 3600) is None


@pytest.mark.parametrize("runtime", ["bubblewrap", "apptainer"])
def test_what_this_node_cannot_reach_others_bring(
    make, site, snapshot, tmp_path, runtime
):
    image, bring = snapshot
    done = []
    waiting = threading.Thread(
        target=lambda: done.append(make(runtime=runtime).trees(site, image))
    )
    waiting.start()
    while waiting.is_alive() and not noted(tmp_path):
        time.sleep(0.01)
    bring()
    waiting.join()
    assert done == [None]
    assert site.is_ready(image)


def test_who_is_to_end_does_not_wait_for_others(make, site, snapshot):
    answers = iter([True, False])
    published = make(is_wanted=lambda: next(answers))
    with pytest.raises(UnwantedError, match="not here yet"):
        published.trees(site, snapshot[0])


@pytest.mark.parametrize("how", ["cancelled", "signal", "deadline"])
def test_a_pod_that_waits_for_its_environment_can_be_ended(
    tmp_path, site, snapshot, how
):
    work = tmp_path / "work"
    pod = PodAtHand(work / "pods/u")
    pod.folder.path.mkdir(parents=True)
    key = tmp_path / "key.pub"
    key.write_text("")
    urls = ["http://127.0.0.1:9"]
    reading = {"fqrn": "a.b", "urls": urls, "master_keys": [str(key)]}
    NodeSettings(runtime="none", scratch=str(work), reading=reading).save(work)
    reference = f"analysis-facility/snapshot@{snapshot[0]}"
    document = make_pod(volumes=[{"name": "env", "image": {"reference": reference}}])
    if how == "deadline":
        document["pod"]["spec"]["activeDeadlineSeconds"] = 2
    pod.folder.pod.write_text(json.dumps(document))
    wrapper = pod.start()
    pod.wait((work / "nodes").exists, "that it looked")
    if how == "cancelled":
        pod.folder.cancelled.touch()
    elif how == "signal":
        wrapper.send_signal(signal.SIGTERM)
    assert wrapper.wait(60) == ExitCode.FAILED
    reason = {"signal": "Terminated", "deadline": "DeadlineExceeded"}
    assert pod.done["stop"] == reason.get(how, "Cancelled")
    assert pod.ended()["reason"] == pod.done["stop"]
    pod.close()


@pytest.mark.parametrize("runtime", ["apptainer", "none"])
def test_a_node_that_can_show_nothing_is_noted_whatever_was_before(
    make, tmp_path, runtime
):
    nodes.note(tmp_path / "work", "n1", time.time())
    make(runtime=runtime).look_at_node().join()
    assert runtime in noted(tmp_path)


def test_what_was_noted_is_believed(make, tmp_path):
    nodes.note(tmp_path / "work", "n1", time.time())
    make().look_at_node().join()
    assert noted(tmp_path) == ""
