"""What a declared glob names."""

from __future__ import annotations

import pytest

from offload.outputs.globs import Declared, fixed_part

WORKING = b"/home/u/pro[j]*"


@pytest.mark.parametrize(
    ("glob", "path", "is_matched"),
    [
        ("results", b"results", True),
        ("results", b"results/a/b", True),
        ("results/", b"results/a", True),
        ("results/**", b"results/a/b", True),
        ("results/**", b"results", True),
        ("results/*", b"results/a", True),
        ("results/*.root", b"results/a/b.root", False),
        ("*.root", b"a.root", True),
        ("*.root", b"d/a.root", False),
        ("**/*.root", b"a.root", True),
        ("**/*.root", b"d/e/a.root", True),
        ("**", b"anything/at/all", True),
        ("a?c", b"abc", True),
        ("a?c", b"a/c", False),
        ("a[bc]d", b"acd", True),
        ("a[!bc]d", b"acd", False),
        ("a[!b]d", b"a/d", False),
        ("a[b-d]", b"ac", True),
        ("a[]]", b"a]", True),
        ("a[", b"a[", True),
        ("./a", b"a", True),
        ("a.b", b"aXb", False),
        ("new\nline", b"new\nline", True),
        ("*", b"\xff\n", True),
        ("result", b"results", False),
        ("/home/u/pro[j]*/a", b"a", False),
        ("/home/u/*/a", b"a", True),
    ],
)
def test_match(glob: str, path: bytes, is_matched: bool) -> None:
    found = Declared((glob,), WORKING).matching(WORKING + b"/" + path)
    assert found == ((glob,) if is_matched else ())


@pytest.mark.parametrize(
    ("glob", "fixed"),
    [
        ("a/b*/c", b"/w/a"),
        ("**", b"/w"),
        ("/x/y", b"/x/y"),
        ("/x/[y]", b"/x"),
    ],
)
def test_part_without_wildcards(glob: str, fixed: bytes) -> None:
    assert fixed_part(glob, b"/w") == fixed
