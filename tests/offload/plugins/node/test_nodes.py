"""What was seen of nodes, and for how long that is believed."""

import pytest

from offload.plugins.node import nodes

DAY_S = 86400.0


@pytest.mark.parametrize(
    ("facts", "can"),
    [
        ({}, False),
        ({"a": ""}, True),
        ({"a": "", "b": ""}, True),
        ({"a": "", "b": "no FUSE"}, False),
    ],
)
def test_all_that_were_seen_must_be_able_to(tmp_path, facts, can):
    for node, problem in facts.items():
        nodes.note(tmp_path, node, 1000.0, problem)
        assert nodes.is_known(tmp_path, node, 1001.0)
    assert nodes.can_read_lazily(tmp_path, 1001.0) == can
    assert not nodes.is_known(tmp_path, "z", 1001.0)
    assert not nodes.can_read_lazily(tmp_path, 1000.0 + DAY_S)


def test_one_that_cannot_is_asked_again_after_a_day(tmp_path):
    nodes.note(tmp_path, "a", 0.0, "no FUSE")
    nodes.note(tmp_path, "b", DAY_S - 1)
    assert not nodes.can_read_lazily(tmp_path, DAY_S - 1)
    assert nodes.can_read_lazily(tmp_path, DAY_S + 1)
    nodes.note(tmp_path, "a", DAY_S + 1)
    assert nodes.can_read_lazily(tmp_path, DAY_S + 2)


def test_a_repository_that_does_not_answer_a_node_is_told(tmp_path):
    key = tmp_path / "key.pub"
    key.write_text("")
    reading = {"fqrn": "a.b", "urls": ["http://127.0.0.1:9/x"], "master_keys": [key]}
    nodes.look(tmp_path, "a", 5.0, reading)
    assert nodes.is_known(tmp_path, "a", 6.0)
    assert not nodes.can_read_lazily(tmp_path, 6.0)
