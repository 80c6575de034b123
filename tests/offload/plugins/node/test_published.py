"""What a pod has from the repository by itself: where that fails."""

import pytest

from offload.cache import SiteCache
from offload.plugins.node import nodes
from offload.plugins.node.folder import PodError
from offload.plugins.node.published import Published


@pytest.mark.parametrize("is_lazy", [True, False])
def test_where_it_cannot_be_had_node_and_reason_are_said_and_noted(tmp_path, is_lazy):
    work, key = tmp_path / "work", tmp_path / "key.pub"
    key.write_text("")
    url = "http://127.0.0.1:9/x"
    reading = {"fqrn": "a.b", "urls": [url], "master_keys": [str(key)]}
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    published = Published("uid", "n1", work, reading, scratch, is_lazy=is_lazy)
    with pytest.raises(PodError, match="node n1: ") as caught:
        published.trees(SiteCache(work), "sha256:" + 64 * "7")
    assert len(str(caught.value).splitlines()) == 1
    published.close()
    assert not published.problem
    (fact,) = (work / "nodes").iterdir()
    assert fact.name == "n1.json"
    now = fact.stat().st_mtime
    assert nodes.is_known(work, "n1", now)
    assert not nodes.can_read_lazily(work, now)
