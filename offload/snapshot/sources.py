"""What a request means: which paths of which folders become which parts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from offload.snapshot.base import Base
from offload.snapshot.bytecode import belonging_to, cache_tag, current
from offload.snapshot.cuts import Group, PartCut
from offload.snapshot.environments.bins import MOST_OF_THEIR_OWN
from offload.snapshot.environments.cutting import bare_base, cut
from offload.snapshot.errors import SelectionError
from offload.snapshot.files.reading import show
from offload.snapshot.files.survey import everything
from offload.snapshot.model import CODE, Request
from offload.snapshot.selection.code import code_root, select_code

MOST_OF_BYTECODE = 8
"""Distributions whose byte code is a layer of its own."""


@dataclass(frozen=True, slots=True)
class Source:
    """One part to be, not yet read."""

    role: str
    mount: str
    root: bytes
    """Folder that is read; where the mount's name is a link, what it leads to."""
    paths: tuple[bytes, ...]
    groups: tuple[Group, ...] = ()
    """What changes together, not yet layers; none if the part is a chain."""
    most_of_their_own: int = MOST_OF_THEIR_OWN
    """Groups that may have a layer each."""
    file: str | None = None
    """See :class:`Part`."""


@dataclass(frozen=True, slots=True)
class Sources:
    """All that a request means."""

    parts: tuple[Source, ...]
    base: Base
    environment: str | None
    warnings: tuple[str, ...]


def find_sources(request: Request) -> Sources:
    """List what is to be frozen; nothing is read.

    Raises:
        SelectionError: a folder or an input is not there, or is far too much.
        EnvironmentCutError: the environment cannot travel.
    """
    root = code_root(request.root, Path.home())
    environment = None if request.prefix is None else cut(request.prefix, root=root)
    selection = select_code(
        root,
        prefix=request.prefix,
        importable=() if environment is None else environment.importable,
    )
    parts = [Source(CODE, str(root), os.fsencode(root), selection.paths)]
    parts += (_input(number, path) for number, path in enumerate(request.inputs))
    warnings = [
        f"{show(each.path)}: left out: {each.reason}" for each in selection.left_out
    ]
    if environment is None:
        return Sources(tuple(parts), bare_base(), None, tuple(warnings))
    version = environment.base.python_version
    for part in environment.parts:
        parts.append(_installed(part.role, part.mount, part.groups))
        compiled = [] if version is None else _bytecode(part, cache_tag(version))
        if compiled:
            role = belonging_to(part.role)
            parts.append(_installed(role, part.mount, compiled, MOST_OF_BYTECODE))
    return Sources(
        tuple(parts),
        environment.base,
        environment.environment,
        (*warnings, *environment.warnings),
    )


def _installed(
    role: str,
    mount: Path,
    groups: Sequence[Group],
    most_of_their_own: int = MOST_OF_THEIR_OWN,
) -> Source:
    paths = tuple(path for group in groups for path in group.paths)
    root = os.fsencode(mount)
    return Source(role, str(mount), root, paths, tuple(groups), most_of_their_own)


def _bytecode(part: PartCut, tag: bytes) -> list[Group]:
    root = os.fsencode(part.mount)
    compiled = (
        Group(group.name, tuple(current(root, group.paths, tag)), is_recorded=True)
        for group in part.groups
    )
    return [group for group in compiled if group.paths]


def _input(number: int, path: Path) -> Source:
    role = f"inputs/{number}"
    if path.is_dir():
        root = os.fsencode(path.resolve())
        return Source(role, str(path), root, tuple(everything(root)))
    if not path.is_file():
        raise SelectionError(f"{path}: expected an input file or folder, got none")
    real = os.fsencode(path.resolve())
    root, _, name = real.rpartition(b"/")
    return Source(role, str(path), root, (name,), file=os.fsdecode(name))
