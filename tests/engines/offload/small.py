"""A small environment of one's own, made of what the tests' environment has installed.

No network and no build: the files of the distributions are copied, with those of
everything that they require.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement


def make_environment(prefix: Path, requirements: Iterable[str] = ()) -> Path:
    """Make a virtual environment with these installed; return its Python."""
    base = Path(sys.base_prefix) / "bin/python3"
    subprocess.run([base, "-m", "venv", "--without-pip", prefix], check=True)
    (site_packages,) = prefix.glob("lib/python3*/site-packages")
    for each in _closure(requirements):
        _copy(each, prefix, site_packages)
    return prefix / "bin/python"


def _closure(requirements: Iterable[str]) -> list[Distribution]:
    waiting = [Requirement(each) for each in requirements]
    found: dict[str, Distribution] = {}
    seen: set[tuple[str, str]] = set()
    while waiting:
        wanted = waiting.pop()
        try:
            installed = distribution(wanted.name)
        except PackageNotFoundError:
            continue  # optional in a way that markers do not say: imports will tell
        found[installed.metadata["Name"]] = installed
        for extra in ("", *wanted.extras):
            if (wanted.name, extra) in seen:
                continue
            seen.add((wanted.name, extra))
            for line in installed.requires or ():
                needs = Requirement(line)
                if needs.marker is None or needs.marker.evaluate({"extra": extra}):
                    waiting.append(needs)
    return list(found.values())


def _copy(installed: Distribution, prefix: Path, site_packages: Path) -> None:
    ours = Path(str(installed.locate_file("")))
    for file in installed.files or ():
        source = Path(str(file.locate()))
        if ".." in file.parts:  # scripts name the interpreter that they are for
            source = source.resolve()
            if not source.is_relative_to(Path(sys.prefix) / "share"):
                continue
            target = prefix / source.relative_to(sys.prefix)
        else:
            target = site_packages / source.relative_to(ours)
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
