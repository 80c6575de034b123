"""Which files of a working folder are code.

In a git repository: what git tracks, and what is neither tracked nor ignored; so too in
submodules and repositories that lie inside. Elsewhere: everything except what tools make
again. A ``.facilityignore`` takes more away. Never a Python environment, never ``.git``,
``__pycache__`` or ``.ipynb_checkpoints``. Folders without files stay: programs write
into them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from facility.environment.source_tree import source_files
from offload.snapshot.errors import SelectionError
from offload.snapshot.selection import git
from offload.snapshot.selection.ignoring import (
    ENVIRONMENT_MARKS,
    FILE_NAME,
    NEVER,
    IgnoreFiles,
    is_cache,
)


class Reason(StrEnum):
    """Why something in the working folder is left out."""

    GIT = "ignored by git"
    FACILITY = "ignored by .facilityignore"
    CACHE = "made again by tools"
    ENVIRONMENT = "a Python environment"
    NOT_A_FILE = "a socket, pipe or device"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something that is there but does not travel; a folder stands for all in it."""

    path: bytes
    reason: Reason


@dataclass(frozen=True, slots=True)
class Selection:
    """What of a folder is code."""

    root: Path
    paths: tuple[bytes, ...]
    """Relative to the root, sorted: files, links and folders without files. They were
    there a moment ago; what they are now, only opening them tells."""
    left_out: tuple[LeftOut, ...] = ()


def code_root(folder: Path, home: Path) -> Path:
    """Return the folder that is frozen for who works in ``folder``.

    The top of the git repository, else the folder itself.

    Raises:
        SelectionError: that would be the home folder, or the whole machine; or there
            is no such folder.
    """
    if not folder.is_dir():
        raise SelectionError(f"{folder}: expected a folder to work in, got none")
    root = _repository_of(folder, home) or folder
    if is_far_too_much(root, home):
        raise SelectionError(
            f"{root}: a job takes its working folder along, and this is "
            f"{'the whole machine' if root == Path('/') else 'your home folder'}; "
            "change to a sub-folder"
        )
    return root


def select_code(
    root: Path, *, prefix: Path | None = None, importable: Sequence[Path] = ()
) -> Selection:
    """List what of a folder is code.

    Args:
        root: absolute; see :func:`code_root`.
        prefix: the Python environment in use, left out wherever it is.
        importable: folders and files that editable installations import from. Modules
            below them are code even where git ignores them: compiled extensions,
            generated versions, metadata of the installation.

    Raises:
        SelectionError: git refuses, or a folder cannot be listed.
    """
    walk = _Walk(root, None if prefix is None else _inside(root, prefix))
    walk.run()
    found = walk.files
    for source in importable:
        if source.is_relative_to(root):
            found.update(_importable(source, root, walk))
    return Selection(
        root,
        tuple(sorted(found | _empty(walk.folders, found))),
        tuple(sorted(walk.left_out, key=lambda each: each.path)),
    )


@dataclass(frozen=True, slots=True)
class _Scope:
    """Whose rules hold below a folder."""

    start: bytes
    """Relative to the root, with a slash at its end unless empty."""
    repository: git.Repository | None


@dataclass(slots=True)
class _Walk:
    root: Path
    prefix: bytes | None
    """Relative to the root; None if it is elsewhere."""
    files: set[bytes] = field(default_factory=set)
    folders: list[bytes] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    ignoring: IgnoreFiles = field(default_factory=IgnoreFiles)

    def run(self) -> None:
        is_inside = _repository_of(self.root, Path.home()) is not None
        scope = _Scope(b"", git.read_repository(self.root) if is_inside else None)
        pending = [(b"", scope)]
        while pending:
            folder, scope = pending.pop()
            pending.extend(self._enter(folder, scope))

    def leave(self, path: bytes, reason: Reason) -> None:
        self.left_out.append(LeftOut(path, reason))

    def _enter(self, folder: bytes, scope: _Scope) -> Iterator[tuple[bytes, _Scope]]:
        entries = _list(os.fsencode(self.root) + b"/" + folder)
        names = {entry.name for entry in entries}
        start = folder + b"/" if folder else b""
        if folder:
            if b".git" in names:
                scope = self._nested(folder, scope)
            marks = names & ENVIRONMENT_MARKS
            if marks and not any(_is_tracked(start + mark, scope) for mark in marks):
                self.leave(folder, Reason.ENVIRONMENT)
                return
            self.folders.append(folder)
        if FILE_NAME in names:
            self.ignoring.read(
                folder, os.fsencode(self.root) + b"/" + start + FILE_NAME
            )
        for entry in entries:
            if entry.name in NEVER:
                continue
            path = start + entry.name
            is_file = entry.is_file(follow_symlinks=False)
            is_folder = not is_file and entry.is_dir(follow_symlinks=False)
            if not (is_file or is_folder or entry.is_symlink()):
                reason: Reason | None = Reason.NOT_A_FILE
            else:
                reason = self._reason(path, entry.name, scope, is_folder=is_folder)
            if reason is not None:
                self.leave(path, reason)
            elif is_folder:
                yield path, scope
            else:
                self.files.add(path)

    def _nested(self, folder: bytes, outer: _Scope) -> _Scope:
        path = self.root / os.fsdecode(folder)
        top = git.top_level(path)
        if top is None or not top.samefile(path):  # what is left of a repository
            return outer
        return _Scope(folder + b"/", git.read_repository(path))

    def _reason(
        self, path: bytes, name: bytes, scope: _Scope, *, is_folder: bool
    ) -> Reason | None:
        if path == self.prefix:
            return Reason.ENVIRONMENT
        if self.ignoring.ignores(path, is_folder=is_folder):
            return Reason.FACILITY
        if scope.repository is None:
            is_left = is_cache(name, is_folder=is_folder)
            return Reason.CACHE if is_left else None
        inner = path[len(scope.start) :]
        if is_folder:
            is_ignored = inner in scope.repository.ignored_folders
        else:
            is_ignored = inner not in scope.repository.files
        return Reason.GIT if is_ignored else None


def _repository_of(folder: Path, home: Path) -> Path | None:
    """Return the top of the repository whose rules hold for a folder, if any do."""
    top = git.top_level(folder)
    if top is None or top == folder:
        return None if top is None or is_far_too_much(top, home) else top
    # A home kept in git, for its dot files, makes not everything in it one project;
    # and git knows nothing of what is in a folder that it ignores.
    is_outside = is_far_too_much(top, home) or git.is_ignored(top, folder)
    return None if is_outside else top


def _inside(root: Path, path: Path) -> bytes | None:
    """Return where a path is below the root, whichever links either is spelled by."""
    if path.is_relative_to(root):
        return os.fsencode(path.relative_to(root))
    parent, real = path.parent.resolve(), root.resolve()
    if parent.is_relative_to(real):
        return os.fsencode(parent.relative_to(real) / path.name)
    return None


def _is_tracked(path: bytes, scope: _Scope) -> bool:
    repository = scope.repository
    return repository is not None and path[len(scope.start) :] in repository.tracked


def _list(folder: bytes) -> list[os.DirEntry[bytes]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:  # removed meanwhile: as if it had never been there
        return []
    except OSError as error:
        raise SelectionError(
            f"{os.fsdecode(folder)}: cannot be listed: {error.strerror}"
        ) from None


def _importable(source: Path, root: Path, walk: _Walk) -> Iterator[bytes]:
    paths = [file.path for file in source_files([os.fspath(source)])]
    if source.is_dir():
        for metadata in source.glob("*.egg-info"):
            paths += (os.fspath(file) for file in metadata.rglob("*") if file.is_file())
    for path in paths:
        relative = os.fsencode(os.path.relpath(path, root))
        chain = (relative, *_parents(relative))
        if walk.prefix not in chain and not any(
            walk.ignoring.ignores(part, is_folder=part != relative) for part in chain
        ):
            yield relative


def _empty(folders: Iterable[bytes], files: Iterable[bytes]) -> set[bytes]:
    """Return the folders that no path below them implies."""
    implied: set[bytes] = set()
    for folder in {path.rpartition(b"/")[0] for path in files}:
        if folder and folder not in implied:
            implied.add(folder)
            implied.update(_parents(folder))
    empty = set()
    for folder in sorted(folders, key=len, reverse=True):  # the deepest first
        if folder not in implied:
            empty.add(folder)
            implied.update(_parents(folder))
    return empty


def _parents(path: bytes) -> Iterator[bytes]:
    parent = path.rpartition(b"/")[0]
    while parent:
        yield parent
        parent = parent.rpartition(b"/")[0]


def is_far_too_much(folder: Path, home: Path) -> bool:
    """Tell whether a folder is the person's home or the whole machine."""
    return folder == Path("/") or (home.exists() and folder.samefile(home))
