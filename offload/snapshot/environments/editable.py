"""What an environment imports from outside itself: editable and linked installations.

Installers leave the trail in site-packages in many ways: paths in ``.pth`` files (the
``site`` module of Python's library reference), finder modules that a ``.pth`` imports
(setuptools, editables, scikit-build-core, meson-python), ``.egg-link`` (setup.py
develop) and links (flit). Nothing of the environment is run to read it.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from facility.environment.distributions import read_distributions

_IMPORTED = re.compile(r"^\s*(?:import|from)\s+([A-Za-z_]\w*)", re.MULTILINE)
_PROJECT_MARKS = ("pyproject.toml", "setup.py", "setup.cfg")
_LEVELS_TO_PROJECT = 3
"""``project/src/package`` is two below the project, a package's part one more."""
_LARGEST_FINDER = 4 * 2**20


@dataclass(frozen=True, slots=True)
class Source:
    """A project outside of the environment that is imported in place."""

    name: str
    project: Path
    """Its folder; a single file if nothing else is known."""
    imported: tuple[Path, ...]
    """What imports look at: folders on the path, packages, modules."""


def find_sources(
    prefix: Path, site_directories: Sequence[Path], *, elsewhere: Sequence[Path] = ()
) -> list[Source]:
    """Return what is imported from outside of an environment, one entry per project.

    Args:
        prefix: the environment.
        site_directories: its folders of installed distributions.
        elsewhere: more folders that it imports from (``PYTHONPATH``).
    """
    names: dict[Path, str] = {}
    inside = [each for each in site_directories if each.is_relative_to(prefix)]
    for installed in read_distributions(inside, prefix).values():
        for source in installed.sources:
            names.setdefault(_normal(source), installed.name)
    found = {*names, *elsewhere}
    for directory in inside:
        found.update(_trail(directory))
    projects: dict[Path, set[Path]] = {}
    for path in found:
        if path.exists() and not path.is_relative_to(prefix):
            projects.setdefault(_project(path), set()).add(path)
    return [
        Source(
            name=next(
                (names[path] for path in sorted(paths) if path in names), project.name
            ),
            project=project,
            imported=tuple(sorted(paths)),
        )
        for project, paths in sorted(projects.items())
    ]


def _trail(directory: Path) -> Iterator[Path]:
    """Yield every path outside that something in a folder of modules leads to."""
    for entry in sorted(directory.iterdir()):
        if entry.is_symlink():
            yield _normal(directory / entry.readlink())
        elif entry.suffix == ".pth":
            yield from _of_pth(directory, _read(entry))
        elif entry.suffix == ".egg-link":
            yield from _paths(directory, _read(entry).splitlines()[:1])


def _of_pth(directory: Path, text: str) -> Iterator[Path]:
    code = [
        line for line in text.splitlines() if line.startswith(("import ", "import\t"))
    ]
    lines = (line for line in text.splitlines() if line not in code)
    yield from _paths(directory, lines)
    for line in code:
        yield from _literals(line)
        for module in _IMPORTED.findall(line.replace(";", "\n")):
            yield from _literals(_read(directory / f"{module}.py"))


def _paths(directory: Path, lines: Iterable[str]) -> Iterator[Path]:
    for line in lines:
        if line.strip() and not line.startswith("#"):
            yield _normal(directory / line.rstrip())


def _literals(code: str) -> Iterator[Path]:
    """Yield the absolute paths that a finder module has as strings."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
            if text.startswith("/") and len(text) > 1 and text.isprintable():
                yield _normal(text)


def _project(path: Path) -> Path:
    """Return the folder of the project that an import leads into."""
    place = path
    for _ in range(_LEVELS_TO_PROJECT):
        if any((place / mark).is_file() for mark in _PROJECT_MARKS):
            return place
        place = place.parent
    return path


def _normal(path: str | Path) -> Path:
    return Path(os.path.normpath(path))


def _read(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(_LARGEST_FINDER)
    except OSError:
        return ""
