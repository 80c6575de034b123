"""Secrets are looked for in what is frozen, as quickly as it is read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offload.snapshot import Entry, Kind, Tree
from offload.snapshot.secrets.finding import Finding
from offload.snapshot.secrets.inspection import (
    END_BYTES,
    Suspect,
    _possible,
    inspect,
    refused,
)
from offload.snapshot.secrets.rules import rules
from offload.snapshot.secrets.searching import find

KEY = b"AKIA" + b"Q3EGRNBTVHYXW2ZK"
NEEDLES = sorted({needle for rule in rules() for needle in rule.needles})


@pytest.mark.parametrize("needle", NEEDLES, ids=repr)
@pytest.mark.parametrize(
    "around", [b"", b"x", b"#" * 50, b"token secret_access_key://"]
)
def test_the_possible_rules_are_those_with_a_needle(needle, around):
    content = around + needle + around
    assert _possible(content) == [rule for rule in rules() if rule.is_possible(content)]


@given(st.lists(st.sampled_from(NEEDLES) | st.binary(max_size=3), max_size=12))
def test_no_needle_hides_another(pieces):
    content = b"".join(pieces)
    assert _possible(content) == [rule for rule in rules() if rule.is_possible(content)]


@pytest.mark.parametrize(
    ("path", "content"),
    [
        (b"a.py", b"x = 1\nkey = '" + KEY + b"'\n"),
        (b".netrc", b"machine a login b password c8Dd9Ee0Ff\n"),
        (b"data.bin", b"\0" + KEY),
        (b"clean.py", b"token = read_token()\n"),
    ],
)
def test_it_finds_what_the_rules_find(path, content):
    assert inspect(path, content) == find(path, content)


def test_both_ends_of_a_large_text_are_looked_at():
    filling = b"plain text\n" * (END_BYTES // 2)
    (finding,) = inspect(b"log", b"'" + KEY + b"'\n" + filling)
    assert finding.line == 1
    (finding,) = inspect(b"log", filling + b"'" + KEY + b"'\n")
    assert finding.line is None


def test_only_the_content_that_was_found_is_refused():
    finding = Finding(b"a.py", "AWS Access Key", 2)
    suspects = [Suspect(b"a.py", "11" * 32, (finding,))]

    def tree(path: bytes, sha256: str) -> Tree:
        return Tree.of([Entry(path, Kind.FILE, 0o644, 9, sha256)])

    bad = tree(b"a.py", "11" * 32)
    assert refused(bad, "/p", suspects, ()) == [finding]
    assert refused(tree(b"a.py", "22" * 32), "/p", suspects, ()) == []
    assert refused(tree(b"b.py", "11" * 32), "/p", suspects, ()) == []
    for allowed in ("a.py", "*.py", "/a.py", "/p/a.py"):
        assert refused(bad, "/p", suspects, (allowed,)) == []
    assert refused(bad, "/p", suspects, ("/q/a.py", "b.py")) == [finding]
