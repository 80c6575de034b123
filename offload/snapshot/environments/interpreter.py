"""Where an environment's Python comes from, and what of it has to travel.

A virtual environment is a thin layer over a base interpreter. Below ``/usr`` that one is
the site's; anywhere else (pyenv, uv, conda, a build of one's own) it travels as a part.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from facility.environment import Interpreter, NoInterpreterError
from facility.environment.interpreter import (
    ask_interpreter,
    executable_of,
    is_own,
    own_interpreter,
)
from offload.snapshot.base import CARRIED_BY_THE_HOST
from offload.snapshot.cuts import Group, PartCut
from offload.snapshot.environments.records import (
    cut_by_distribution,
    with_standard_library,
)
from offload.snapshot.errors import EnvironmentCutError
from offload.snapshot.selection.listing import list_tree

ROLE = "interpreter"
_SITE_PACKAGES = re.compile(rb"lib(64)?/python[0-9.]+t?/site-packages")
_CONDA_OTHERS = frozenset({b"envs", b"pkgs", b"conda-bld"})
_MOST_LINKS = 40


@dataclass(frozen=True, slots=True)
class Python:
    """The interpreter of an environment."""

    interpreter: Interpreter
    executable: Path
    """In the environment; often a link."""
    base: Path
    """Its installation (``sys.base_prefix``)."""

    @property
    def is_of_host(self) -> bool:
        """Whether it lies below ``/usr``, so that every site brings its own."""
        return self.base.resolve().is_relative_to(CARRIED_BY_THE_HOST)


def find_python(prefix: Path) -> Python:
    """Return the Python of an environment.

    Raises:
        EnvironmentCutError: there is none that works.
    """
    try:
        executable = executable_of(prefix)
        if is_own(executable):
            return Python(own_interpreter(), executable, Path(sys.base_prefix))
        interpreter, base = ask_interpreter(executable)
    except NoInterpreterError as error:
        raise EnvironmentCutError(str(error)) from error
    return Python(interpreter, executable, base)


def is_closed(prefix: Path) -> bool:
    """Whether an environment imports from nowhere but itself (PEP 405)."""
    try:
        text = (prefix / "pyvenv.cfg").read_text(encoding="utf-8")
    except OSError:  # no virtual environment
        return False
    settings = (line.partition("=") for line in text.splitlines())
    return not any(
        key.strip() == "include-system-site-packages" and value.strip() == "true"
        for key, _, value in settings
    )


def is_other_environment(folder: bytes) -> bool:
    """Tell of a folder in a conda installation whether it holds its other ones."""
    return folder in _CONDA_OTHERS


def cut_interpreter(
    python: Python, *, with_site_packages: bool
) -> tuple[PartCut, list[str]]:
    """Cut a base interpreter that has to travel; also return warnings.

    Links on the way to it belong to it: uv reaches an interpreter through one that
    names only the minor version.
    """

    def is_skipped(folder: bytes) -> bool:
        return is_other_environment(folder) or (
            not with_site_packages and _SITE_PACKAGES.fullmatch(folder) is not None
        )

    place = _place(python)
    sites = [*python.base.glob("lib*/python*/site-packages")] * with_site_packages
    groups = with_standard_library(
        cut_by_distribution(
            python.base, sites, list_tree(python.base, is_skipped=is_skipped)
        ),
        python.interpreter.version,
    )
    start = place.below + b"/" if place.below else b""
    cut = [
        Group(
            group.name,
            tuple(start + path for path in group.paths),
            is_recorded=group.is_recorded,
            published={start + path: sha for path, sha in group.published.items()},
        )
        for group in groups
    ]
    if place.links:
        cut.append(Group("links", place.links, is_recorded=False))
    warnings = [
        f"{python.executable} leads to {unreached}, which does not travel"
        for unreached in place.unreached
    ]
    return PartCut(ROLE, place.mount, tuple(cut)), warnings


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an interpreter is mounted so that every path to it works."""

    mount: Path
    below: bytes
    """The installation, relative to the mount."""
    links: tuple[bytes, ...]
    """Links on the way, relative to the mount."""
    unreached: tuple[str, ...] = ()


def _place(python: Python) -> _Place:
    links, real = follow(python.base)
    target = _leaves_at(python.executable)
    if target is not None:
        more, _ = follow(target)
        links += more
    outside = {link for link in links if not link.is_relative_to(real)}
    mount = Path(os.path.commonpath([real, *(link.parent for link in outside)]))
    if outside and (_is_ancestor_of_home(mount) or len(mount.parts) <= 2):
        # A mount there would hide what is a site's own, such as /opt.
        is_reached = target is None or target.is_relative_to(python.base)
        return _Place(python.base, b"", (), () if is_reached else (str(target),))
    below = os.fsencode(real.relative_to(mount)) if real != mount else b""
    names = sorted(os.fsencode(link.relative_to(mount)) for link in outside)
    return _Place(mount, below, tuple(names))


def _leaves_at(executable: Path) -> Path | None:
    """Return the absolute path by which a chain of links leaves the environment."""
    for _ in range(_MOST_LINKS):
        if not executable.is_symlink():
            return None
        target = executable.readlink()
        if target.is_absolute():
            return target
        executable = executable.parent / target
    return None


def follow(path: Path) -> tuple[list[Path], Path]:
    """Return the links that opening an absolute path passes, and where it ends.

    Folders above the person's home count as what they are called, even where they are
    links: the job sees the same names.
    """
    pending = list(reversed(path.parts[1:]))
    place = Path("/")
    links: list[Path] = []
    while pending and len(links) < _MOST_LINKS:
        name = pending.pop()
        if name == "..":
            place = place.parent
            continue
        step = place / name
        if _is_ancestor_of_home(step) or not step.is_symlink():
            place = step
            continue
        links.append(step)
        target = step.readlink()
        if target.is_absolute():
            place = Path("/")
        pending.extend(reversed(target.parts[target.is_absolute() :]))
    return links, place


def _is_ancestor_of_home(path: Path) -> bool:
    return Path.home().is_relative_to(path)
