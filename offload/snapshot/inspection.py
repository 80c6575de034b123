"""Looks for secrets in the very bytes that are frozen, while they are in memory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from pathspec import GitIgnoreSpec

from offload.snapshot.ignoring import matches
from offload.snapshot.secrets import WHOLE_BYTES, find
from offload.snapshot.secrets_finding import Finding
from offload.snapshot.tree import Tree

END_BYTES = 2**18
"""Of a file that is too large to be looked at as a whole: data, where a header or a
trailer may hold what a person wrote."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """A content, under a name, that holds what looks like a secret."""

    path: bytes
    sha256: str
    findings: tuple[Finding, ...]


def inspect(path: bytes, content: bytes) -> list[Finding]:
    """Return what looks like secrets in a whole content."""
    if len(content) <= WHOLE_BYTES:
        return find(path, content)
    return inspect_ends(path, content[:END_BYTES], content[-END_BYTES:])


def inspect_ends(path: bytes, head: bytes, tail: bytes) -> list[Finding]:
    """Return what looks like secrets at the beginning and the end of a content."""
    found = find(path, head)
    # How many lines are in between, nobody counted.
    return [*found, *(replace(finding, line=None) for finding in find(path, tail))]


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
