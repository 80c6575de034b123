"""Cuts a Python environment into parts and groups that travel and change by themselves.

Virtual environments of any tool, conda prefixes and bare interpreters; what is installed
in place (editable) comes along from where it is, so that imports work at the same
absolute paths without a network.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from facility.environment import describe
from facility.environment.interpreter import own_interpreter
from facility.environment.site_directories import site_directories_of
from offload.snapshot.base import CARRIED_BY_THE_HOST, Base, base_of
from offload.snapshot.cuts import Group, PartCut
from offload.snapshot.environments.editable import Source, find_sources
from offload.snapshot.environments.interpreter import (
    Python,
    cut_interpreter,
    find_python,
    is_closed,
    is_other_environment,
)
from offload.snapshot.environments.records import (
    cut_by_distribution,
    with_standard_library,
)
from offload.snapshot.selection import git
from offload.snapshot.selection.code import is_far_too_much, select_code
from offload.snapshot.selection.listing import list_tree

ROLE = "env"


@dataclass(frozen=True, slots=True)
class EnvironmentCut:
    """A Python environment as it will travel."""

    parts: tuple[PartCut, ...]
    """``env`` (not if it is the host's own), ``interpreter`` (only one that is not
    below ``/usr``) and ``local/0``, ... for what is imported from elsewhere."""
    base: Base
    environment: str
    """Digest of what is installed (``facility.environment``)."""
    importable: tuple[Path, ...]
    """What is imported from inside the code's root; ``select_code`` wants to know."""
    warnings: tuple[str, ...]


def bare_base() -> Base:
    """Describe the base of a job without a Python environment."""
    return base_of(own_interpreter(), python=None, version=None)


def cut(
    prefix: Path, *, root: Path | None = None, search_path: Sequence[Path] | None = None
) -> EnvironmentCut:
    """Cut the environment at a prefix; reads records and names, not contents.

    Args:
        prefix: ``sys.prefix`` of the environment, as it is spelled there.
        root: the code's root. What is imported from below it travels as code.
        search_path: more folders that modules come from; by default those that
            ``PYTHONPATH`` names.

    Raises:
        EnvironmentCutError: there is no Python at the prefix that works.
        SnapshotError: a folder cannot be listed.
    """
    python = find_python(prefix)
    sites = site_directories_of(prefix, python.base, python.interpreter.version)
    parts: list[PartCut] = []
    warnings: list[str] = []
    if not prefix.resolve().is_relative_to(CARRIED_BY_THE_HOST):
        inside = [site for site in sites if site.is_relative_to(prefix)]
        groups = with_standard_library(
            _cut_tree(prefix, inside), python.interpreter.version
        )
        parts.append(PartCut(ROLE, prefix, groups))
    is_virtual = python.base.resolve() != prefix.resolve()
    if is_virtual and not python.is_of_host:
        shares = any(site.is_relative_to(python.base) for site in sites)
        part, warnings = cut_interpreter(python, with_site_packages=shares)
        parts.append(part)
    local = _Local(root, prefix, [CARRIED_BY_THE_HOST, *(part.mount for part in parts)])
    elsewhere = _python_path() if search_path is None else search_path
    sources = find_sources(prefix, sites, elsewhere=elsewhere)
    user_site = _user_site(prefix, python)
    if user_site is not None:
        sources += find_sources(user_site, [user_site])
        local.trees.append((user_site, _cut_tree(user_site, [user_site])))
    for source in sources:
        local.take(source)
    parts += (
        PartCut(f"local/{number}", mount, groups)
        for number, (mount, groups) in enumerate(local.trees)
    )
    return EnvironmentCut(
        parts=tuple(parts),
        base=base_of(
            python.interpreter,
            python=str(python.executable.resolve()) if python.is_of_host else None,
            version=python.interpreter.version,
        ),
        environment=describe(prefix).digest,
        importable=tuple(local.importable),
        warnings=(*warnings, *local.warnings),
    )


def _cut_tree(root: Path, site_directories: Sequence[Path]) -> tuple[Group, ...]:
    paths = list_tree(root, is_skipped=is_other_environment)
    return cut_by_distribution(root, site_directories, paths)


def _python_path() -> list[Path]:
    entries = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    # A relative one means something else in every folder.
    return [Path(entry) for entry in entries if entry.startswith("/")]


def _user_site(prefix: Path, python: Python) -> Path | None:
    """Return the person's own site-packages, if the environment imports from there."""
    if os.environ.get("PYTHONNOUSERSITE") or is_closed(prefix):
        return None
    minor = ".".join(python.interpreter.version.rstrip("t").split(".")[:2])
    place = Path.home() / f".local/lib/python{minor}/site-packages"
    return place if place.is_dir() and not place.is_relative_to(prefix) else None


@dataclass(slots=True)
class _Local:
    """What is imported from outside of environment, interpreter and host."""

    root: Path | None
    prefix: Path
    taken: list[Path]
    trees: list[tuple[Path, tuple[Group, ...]]] = field(default_factory=list)
    importable: list[Path] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def take(self, source: Source) -> None:
        """Bring a source along: as code if it is, else as a tree of its own."""
        project, root = source.project, self.root
        if any(project.is_relative_to(place) for place in self.taken):
            return
        if (
            root is not None
            and project.is_relative_to(root)
            and not (project != root and git.is_ignored(root, project))
        ):
            self.importable += source.imported
        elif is_far_too_much(project, Path.home()):
            self.warnings.append(
                f"{source.name} is imported from {project}, which is too much to take "
                "along; give it a folder of its own"
            )
        elif project.is_dir():
            selection = select_code(
                project, prefix=self.prefix, importable=source.imported
            )
            self._add(project, source.name, selection.paths)
        else:
            self._add(project.parent, source.name, (os.fsencode(project.name),))

    def _add(self, mount: Path, name: str, paths: tuple[bytes, ...]) -> None:
        for number, (known, groups) in enumerate(self.trees):
            if known == mount:  # two single files of one folder
                more = Group(f"{name}-{len(groups)}", paths, is_recorded=False)
                self.trees[number] = (mount, (*groups, more))
                return
        self.trees.append((mount, (Group(name, paths, is_recorded=False),)))
