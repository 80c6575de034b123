"""Rewrites what in a tree names the place it was installed at.

Needed only where a tree cannot be bound at its home path. An environment names itself in
the first lines of scripts, ``pyvenv.cfg``, ``.pth`` files, finder modules, activation
scripts, kernel specifications, absolute links, and in whatever conda records to hold its
prefix. Code, data and other binaries are never touched.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from offload.snapshot.errors import SnapshotError

_LARGEST_TEXT = 4 * 2**20
_LONGEST_SHEBANG = 127
"""Bytes, without ``#!``, that every kernel takes (execve(2))."""
_SHEBANG = re.compile(rb"#!\s*([^\s]+)([^\n]*)\n")
_TEXTS = re.compile(
    rb"(?:^|/)(?:pyvenv\.cfg|[^/]+\.(?:pth|egg-link|pc)|kernel\.json|direct_url\.json"
    rb"|__editable___\w+\.py|_\w+_editable\w*\.py|_editable\w*\.py|\w+_editable_loader\.py"
    rb"|_sysconfigdata\w*\.py)$"
)
_IMPORTED = re.compile(rb"^import[ \t]+(\w+)", re.MULTILINE)
_BINARY = "binary"


class RelocationError(SnapshotError):
    """A tree cannot be made to work at its new place."""


def relocate(tree: Path, moves: Mapping[str, str]) -> tuple[Path, ...]:
    """Rewrite old paths to new ones throughout a tree; return the files changed.

    Files are replaced, never written to: what is hard-linked elsewhere stays as it is.
    Doing it twice changes nothing more, unless a new path begins with an old one.

    Args:
        tree: the copy, whatever its path.
        moves: old absolute paths and new ones; the longest that fits a text counts.

    Raises:
        RelocationError: a binary of conda has no room for the longer path.
        ValueError: a path is not absolute.
    """
    for place in (*moves, *moves.values()):
        if not place.startswith("/") or place == "/":
            raise ValueError(f"expected absolute paths to move, got {place!r}")
    rewriting = _Rewriting.of(moves)
    conda = _recorded_by_conda(tree)
    finders = _finders(tree)
    changed = []
    for path, is_link in _walk(tree):
        relative = os.fsencode(path.relative_to(tree))
        if is_link:
            is_changed = _relink(path, rewriting)
        elif conda.get(relative) == _BINARY:
            is_changed = _replace(path, rewriting.binary)
        elif relative in conda or _is_script(relative):
            is_changed = _replace(path, _of_text(rewriting.script))
        elif _TEXTS.search(relative) or relative in finders:
            is_changed = _replace(path, _of_text(rewriting.text))
        else:
            continue
        if is_changed:
            changed.append(path)
    return tuple(sorted(changed))


@dataclass(frozen=True, slots=True)
class _Rewriting:
    moves: dict[bytes, bytes]
    pattern: re.Pattern[bytes]

    @classmethod
    def of(cls, moves: Mapping[str, str]) -> _Rewriting:
        coded = {
            os.fsencode(old.rstrip("/")): os.fsencode(new.rstrip("/"))
            for old, new in moves.items()
        }
        longest_first = sorted(coded, key=len, reverse=True)
        # A whole path, or its beginning: not /home/u/env of /mnt/home/u/env2; but of
        # -I/home/u/env and file:///home/u/env.
        pattern = re.compile(
            rb"(?:(?<![\w.~@+-])|(?<=-[ILR]))(?<![\w.~@+-]/)(%b)(?![\w.@+~-])"
            % b"|".join(map(re.escape, longest_first))
        )
        return cls(coded, pattern)

    def text(self, content: bytes) -> bytes:
        return self.pattern.sub(lambda match: self.moves[match[1]], content)

    def script(self, content: bytes) -> bytes:
        """Rewrite a script; the kernel limits what its first line may be."""
        first = _SHEBANG.match(content)
        if first is None:
            return self.text(content)
        interpreter, options = self.text(first[1]), self.text(first[2])
        body = self.text(content[first.end() :])
        is_short = len(interpreter + options) <= _LONGEST_SHEBANG
        is_python = b"python" in interpreter.rpartition(b"/")[2]
        if (is_short and b" " not in interpreter) or not is_python:
            return b"#!%b%b\n" % (interpreter, options) + body
        # Both shell and Python, as installers write it: Python sees a string.
        trick = b"#!/bin/sh\n'''exec' \"%b\"%b \"$0\" \"$@\"\n' '''\n"
        return trick % (interpreter, options) + body

    def binary(self, content: bytes) -> bytes:
        """Rewrite strings that end with a zero byte, in the room that they have.

        Raises:
            _NoRoomError: one does not fit.
        """
        rewritten = bytearray(content)
        done = 0
        for match in self.pattern.finditer(content):
            start = match.start(1)
            if start < done:
                continue
            done = content.find(b"\0", start)
            if done < 0:
                done = len(content)
            new = self.text(content[start:done])
            if len(new) > done - start:
                raise _NoRoomError
            rewritten[start:done] = new.ljust(done - start, b"\0")
        return bytes(rewritten)


class _NoRoomError(Exception):
    """A binary has no room for a longer path."""


def _of_text(rewrite: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """Leave alone what is no text, such as an interpreter among the scripts."""

    def of_text(content: bytes) -> bytes:
        is_text = b"\0" not in content[:8192] and len(content) <= _LARGEST_TEXT
        return rewrite(content) if is_text else content

    return of_text


def _recorded_by_conda(tree: Path) -> dict[bytes, str]:
    """Return the files that conda records to hold the prefix, and how."""
    found: dict[bytes, str] = {}
    for record in tree.glob("conda-meta/*.json"):
        found[os.fsencode(record.relative_to(tree))] = "text"
        try:
            paths = json.loads(record.read_bytes())["paths_data"]["paths"]
            for each in paths:
                if "prefix_placeholder" in each:
                    mode = str(each.get("file_mode", "text"))
                    found[os.fsencode(each["_path"])] = mode
        except (OSError, ValueError, LookupError, TypeError):
            continue
    return found


def _finders(tree: Path) -> set[bytes]:
    """Return the modules that ``.pth`` files import: they hold paths of sources."""
    found = set()
    for site in (*tree.glob("lib*/python*/site-packages"), tree):
        for entry in site.glob("*.pth"):
            for module in _IMPORTED.findall(entry.read_bytes()[:_LARGEST_TEXT]):
                finder = site / f"{module.decode()}.py"
                if finder.is_file():
                    found.add(os.fsencode(finder.relative_to(tree)))
    return found


def _is_script(relative: bytes) -> bool:
    parts = relative.split(b"/")
    return len(parts) > 1 and parts[-2] in {b"bin", b"condabin", b"activate.d"}


def _walk(tree: Path) -> Iterator[tuple[Path, bool]]:
    """Yield files and links, and whether each is a link."""
    pending = [os.fspath(tree)]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.is_symlink():
                    yield Path(entry.path), True
                elif entry.is_dir():
                    pending.append(entry.path)
                elif entry.is_file():
                    yield Path(entry.path), False


def _relink(path: Path, rewriting: _Rewriting) -> bool:
    target = os.fsencode(path.readlink())
    new = rewriting.text(target) if target.startswith(b"/") else target
    if new == target:
        return False
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    draft.symlink_to(os.fsdecode(new))
    draft.replace(path)
    return True


def _replace(path: Path, rewrite: Callable[[bytes], bytes]) -> bool:
    content = path.read_bytes()
    try:
        new = rewrite(content)
    except _NoRoomError:
        raise RelocationError(
            f"{path}: has no room for a longer path than it was installed at; the site "
            "needs a runtime that binds paths"
        ) from None
    if new == content:
        return False
    draft = path.with_name(f"{path.name}.new")
    draft.write_bytes(new)
    draft.chmod(path.stat().st_mode & 0o7777)
    draft.replace(path)
    return True
