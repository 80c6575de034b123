"""Finds secrets in what is about to leave the machine; never shows one.

Names and first bytes of every file are looked at, and the text of all that is text. Of
files beyond :data:`WHOLE_BYTES` only both ends are read: data, where a header or a
trailer may hold what a person wrote.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from pathspec import GitIgnoreSpec

from offload.snapshot.errors import UnreadableError
from offload.snapshot.ignoring import matches
from offload.snapshot.secrets_cache import FindingCache
from offload.snapshot.secrets_files import find_by_file
from offload.snapshot.secrets_finding import Finding, SecretsFoundError
from offload.snapshot.secrets_notebooks import notebook_texts
from offload.snapshot.secrets_rules import Rule, is_allowed_line, rules

__all__ = ["Finding", "SecretsFoundError", "check", "find"]

WHOLE_BYTES = 2 * 2**20
_END_BYTES = 2**18
_HEAD_BYTES = 2**13
_MOST_IN_FILE = 20
"""Findings of one file that are listed: a dump of keys is one mistake, not a thousand."""


def check(
    root: Path,
    files: Iterable[bytes],
    allow: Sequence[str] = (),
    *,
    cache: Path | None = None,
) -> list[Finding]:
    """Return what looks like secrets in files, in their order; empty if all is well.

    What is not there any more, and what is no regular file, has none.

    Args:
        root: folder that the paths are relative to.
        files: paths to look at.
        allow: paths and patterns, as in ``.gitignore`` and relative to the root (or
            absolute and below it), of files that may hold secrets.
        cache: file that remembers what was found, by the status of each file; made if
            need be. Files unchanged since are not opened.

    Raises:
        UnreadableError: a file may not be read.
    """
    allowed = GitIgnoreSpec.from_lines(_relative(root, pattern) for pattern in allow)
    paths = [path for path in files if not matches(allowed, path, is_folder=False)]
    with FindingCache(cache, root) as known:
        return [finding for path in paths for finding in _in_file(root, path, known)]


def find(path: bytes, content: bytes) -> list[Finding]:
    """Return what looks like secrets in the content of a file of that name."""
    found = [
        Finding(path, kind, line or None)
        for kind, line in find_by_file(path, content[:_HEAD_BYTES])
    ]
    if b"\0" in content[:_HEAD_BYTES]:
        return found
    possible = [rule for rule in rules() if rule.is_possible(content)]
    if not possible:
        return found
    known = {(finding.line, finding.cell, finding.is_output) for finding in found}
    for finding in _in_text(path, content, possible):
        # One secret often has two shapes, such as a password in a URL in .netrc.
        place = (finding.line, finding.cell, finding.is_output)
        if place not in known:
            known.add(place)
            found.append(finding)
    return found[:_MOST_IN_FILE]


def _in_text(path: bytes, content: bytes, possible: list[Rule]) -> Iterator[Finding]:
    cells = notebook_texts(content) if path.endswith(b".ipynb") else None
    if cells is None:
        text = content.decode(errors="replace")
        for kind, line in _lines(text, possible):
            yield Finding(path, kind, line)
        return
    for cell in cells:
        for kind, line in _lines(cell.text, possible):
            yield Finding(path, kind, line, cell.cell, cell.is_output)


def _lines(text: str, possible: list[Rule]) -> list[tuple[str, int]]:
    """Return kind and line number of each secret, in the order of lines."""
    found = [
        (position, rule.kind)
        for rule in possible
        for position in rule.find(text)
        if not is_allowed_line(text, position)
    ]
    return [(kind, text.count("\n", 0, at) + 1) for at, kind in sorted(found)]


def _in_file(root: Path, path: bytes, known: FindingCache) -> list[Finding]:
    place = os.fsencode(root) + b"/" + path
    try:
        status = os.lstat(place)
        if not stat.S_ISREG(status.st_mode):
            return []
        before = known.get(path, status)
        if before is not None:
            return before
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with open(os.open(place, flags), "rb", buffering=0) as file:  # noqa: PTH123
            status = os.fstat(file.fileno())
            found = _in_open_file(path, file, status.st_size)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise UnreadableError(
            f"{os.fsdecode(place)}: cannot be read: {error.strerror}"
        ) from None
    known.put(path, status, found)
    return found


def _in_open_file(path: bytes, file: BinaryIO, size: int) -> list[Finding]:
    content = file.read(_HEAD_BYTES)
    if b"\0" in content:  # no text: only what kind of file it is counts
        return find(path, content)
    if size <= WHOLE_BYTES:
        return find(path, content + file.read(WHOLE_BYTES))
    found = find(path, content + file.read(_END_BYTES))
    file.seek(-_END_BYTES, os.SEEK_END)
    tail = find(path, file.read(_END_BYTES))
    # How many lines are in between, nobody counted.
    return [*found, *(replace(finding, line=None) for finding in tail)]


def _relative(root: Path, pattern: str) -> str:
    return (
        "/" + os.path.relpath(pattern, root)
        if pattern.startswith(f"{root}/")
        else pattern
    )
