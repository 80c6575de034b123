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
        assert nodes.noted(tmp_path, node, 1001.0) == problem
    assert nodes.can_read_lazily(tmp_path, 1001.0) == can
    assert nodes.noted(tmp_path, "z", 1001.0) is None
    assert not nodes.can_read_lazily(tmp_path, 1000.0 + DAY_S)


def test_one_that_cannot_is_asked_again_after_a_day(tmp_path):
    nodes.note(tmp_path, "a", 0.0, "no FUSE")
    nodes.note(tmp_path, "b", DAY_S - 1)
    assert not nodes.can_read_lazily(tmp_path, DAY_S - 1)
    assert nodes.can_read_lazily(tmp_path, DAY_S + 1)
    nodes.note(tmp_path, "a", DAY_S + 1)
    assert nodes.can_read_lazily(tmp_path, DAY_S + 2)


def test_what_may_pass_is_looked_at_again_soon(tmp_path):
    nodes.note(tmp_path, "a", 0.0)
    nodes.note(tmp_path, "b", 0.0, "nobody answers", may_pass=True)
    assert nodes.noted(tmp_path, "b", 60.0) == "nobody answers"
    assert not nodes.can_read_lazily(tmp_path, 60.0)
    assert nodes.noted(tmp_path, "b", 3600.0) is None
    assert nodes.can_read_lazily(tmp_path, 3600.0)


def test_a_repository_that_does_not_answer_is_told(tmp_path):
    key = tmp_path / "key.pub"
    key.write_text("")
    reading = {"fqrn": "a.b", "urls": ["http://127.0.0.1:9/x"], "master_keys": [key]}
    assert nodes.why_unread(tmp_path, reading)


@pytest.mark.parametrize("name", ["../../x", "a/b", "..", ".hidden", "ä \n", ""])
def test_a_node_may_be_called_anything(tmp_path, name):
    nodes.note(tmp_path / "work", name, 5.0)
    assert nodes.noted(tmp_path / "work", name, 6.0) == ""
    assert nodes.can_read_lazily(tmp_path / "work", 6.0)
    assert len([*tmp_path.rglob("*.json")]) == 1
    assert len([*(tmp_path / "work/nodes").iterdir()]) == 1


def test_what_a_clock_that_was_set_back_said_is_not_believed_for_ever(tmp_path):
    nodes.note(tmp_path, "a", 10 * DAY_S, "no FUSE")
    assert nodes.noted(tmp_path, "a", DAY_S) is None
    assert nodes.noted(tmp_path, "a", 10 * DAY_S - 5) == "no FUSE"


def test_what_a_crash_cut_off_counts_as_unknown(tmp_path):
    nodes.note(tmp_path, "a", 5.0)
    (tmp_path / "nodes/b.json").write_bytes(b"")
    assert nodes.can_read_lazily(tmp_path, 6.0)
    assert nodes.noted(tmp_path, "b", 6.0) is None
