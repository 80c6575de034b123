"""What the sources of an editable distribution contain, cheaply.

An editable installation changes without its version changing, so its identity is the
digest of what can be imported from it: ``.py`` files and extension modules. In a
project's own directory (it has a ``pyproject.toml`` or ``setup.py``) only packages with
``__init__.py`` and modules count, not tests, documents and set-up files beside them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

MOST_FILES = 20_000
"""Files of one distribution that are looked at, in sorted order; bounds the time."""

_SUFFIXES = (".py", ".so")
_SKIPPED = frozenset({"__pycache__", "node_modules", "build", "dist"})
_BESIDE = frozenset({"setup.py", "conftest.py", "noxfile.py", "test", "tests", "docs"})


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file and what tells without reading that it may have changed."""

    name: str
    """Relative to its root, with the root's place in the sequence in front."""
    path: str
    size: int
    changed_ns: int
    inode: int


def source_files(roots: Sequence[str]) -> list[SourceFile]:
    """List what can be imported from the roots, sorted, at most ``MOST_FILES``."""
    found: list[SourceFile] = []
    for number, root in enumerate(roots):
        for name, path in _walk(root):
            try:
                status = os.stat(path)
            except OSError:
                continue
            found.append(
                SourceFile(
                    f"{number}/{name}",
                    path,
                    status.st_size,
                    max(status.st_mtime_ns, status.st_ctime_ns),
                    status.st_ino,
                )
            )
            if len(found) >= MOST_FILES:
                return found
    return found


def fingerprint(files: Sequence[SourceFile]) -> str:
    """Digest the files' status: unequal whenever a file may have changed."""
    lines = (f"{f.name} {f.path} {f.size} {f.changed_ns} {f.inode}" for f in files)
    return hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()


def contents_digest(files: Sequence[SourceFile]) -> str:
    """Digest the files' names and contents: the same wherever the tree is."""
    total = hashlib.sha256()
    for file in files:
        try:
            contents = hashlib.sha256(Path(file.path).read_bytes()).hexdigest()
        except OSError:
            contents = "unreadable"
        line = f"{file.name} {contents}\n"
        total.update(line.encode(errors="surrogateescape"))
    return total.hexdigest()


def _walk(root: str) -> Iterator[tuple[str, str]]:
    if os.path.isfile(root):  # a finder may map a module to its file
        yield os.path.basename(root), root
        return
    is_project = any(
        os.path.exists(os.path.join(root, name))
        for name in ("pyproject.toml", "setup.py")
    )
    pending = [("", root)]
    while pending:
        relative, directory = pending.pop()
        try:
            entries = sorted(os.scandir(directory), key=lambda e: e.name, reverse=True)
        except OSError:
            continue
        below_project = is_project and not relative
        for entry in entries:
            if below_project and entry.name in _BESIDE:
                continue
            if entry.is_dir(follow_symlinks=False):
                if _is_package(entry, must_have_init=below_project):
                    pending.append((f"{relative}{entry.name}/", entry.path))
            elif entry.name.endswith(_SUFFIXES) and entry.is_file():
                yield f"{relative}{entry.name}", entry.path


def _is_package(entry: os.DirEntry[str], *, must_have_init: bool) -> bool:
    if entry.name in _SKIPPED or not entry.name.isidentifier():
        return False
    if must_have_init:
        return os.path.exists(os.path.join(entry.path, "__init__.py"))
    return not os.path.exists(os.path.join(entry.path, "pyvenv.cfg"))
