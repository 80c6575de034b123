"""Looks for secrets in the very bytes that are frozen, while they are in memory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache

from ahocorasick_rs import BytesAhoCorasick
from pathspec import GitIgnoreSpec

from offload.snapshot.secrets.finding import Finding
from offload.snapshot.secrets.rule import Rule
from offload.snapshot.secrets.rules import rules
from offload.snapshot.secrets.searching import WHOLE_BYTES, find
from offload.snapshot.selection.ignoring import matches
from offload.snapshot.tree import Tree

_HEAD_BYTES = 2**13
"""In which a zero byte tells data from text."""
END_BYTES = 2**18
"""Of a file that is too large to be looked at as a whole: data, where a header or a
trailer may hold what a person wrote."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """A content, under a name, that holds what looks like a secret."""

    path: bytes
    sha256: str
    findings: tuple[Finding, ...]


def inspect(path: bytes, content: bytes | memoryview) -> list[Finding]:
    """Return what looks like secrets in a whole content."""
    if len(content) > WHOLE_BYTES:
        return inspect_ends(
            path, bytes(content[:END_BYTES]), bytes(content[-END_BYTES:])
        )
    head = bytes(content[:_HEAD_BYTES])
    if b"\0" in head:  # data: only its name and first bytes count
        return find(path, head, ())
    return _find(path, bytes(content))


def inspect_ends(path: bytes, head: bytes, tail: bytes) -> list[Finding]:
    """Return what looks like secrets at the beginning and the end of a content."""
    found = _find(path, head)
    # How many lines are in between, nobody counted.
    return [*found, *(replace(finding, line=None) for finding in _find(path, tail))]


def refused(
    tree: Tree, mount: str, suspects: Iterable[Suspect], allow: Sequence[str]
) -> list[Finding]:
    """Return the findings in a tree that nobody allowed.

    Args:
        tree: what is to be frozen.
        mount: where it is.
        suspects: all that was ever found, also elsewhere.
        allow: paths and patterns, as in ``.gitignore`` and relative to the mount (or
            absolute and below it), of files that may hold secrets.
    """
    spec = GitIgnoreSpec.from_lines(
        "/" + os.path.relpath(pattern, mount)
        if pattern.startswith(f"{mount}/")
        else pattern
        for pattern in allow
    )
    held = tree.by_path
    return [
        finding
        for suspect in sorted(suspects, key=lambda each: each.path)
        if suspect.path in held
        and held[suspect.path].sha256 == suspect.sha256
        and not matches(spec, suspect.path, is_folder=False)
        for finding in suspect.findings
    ]


def _find(path: bytes, content: bytes) -> list[Finding]:
    if b"\0" in content[:_HEAD_BYTES]:  # data: only its name and first bytes count
        return find(path, content, ())
    return find(path, content, _possible(content))


def _possible(content: bytes) -> list[Rule]:
    """Return the rules that have a needle in a content.

    One pass for each needle is what a first freeze would spend its time on; so one
    pass finds whether there are any (Aho and Corasick, 1975), and most have none.
    """
    search, needles = _needles()
    at = {
        match[0] for match in search.find_matches_as_indexes(content, overlapping=True)
    }
    if not at:
        return []
    present = {needle for i in at for needle in needles[i] if needle in content}
    return [rule for rule in rules() if not present.isdisjoint(rule.needles)]


@cache
def _needles() -> tuple[BytesAhoCorasick, tuple[tuple[bytes, ...], ...]]:
    """Return what finds needles that have no other in them, and those each is in."""
    every = sorted({needle for rule in rules() for needle in rule.needles})
    shortest = [n for n in every if not any(m in n for m in every if m != n)]
    holders = tuple(tuple(n for n in every if each in n) for each in shortest)
    return BytesAhoCorasick(shortest), holders
