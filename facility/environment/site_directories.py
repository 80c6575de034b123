"""Which directories an environment imports distributions from, in order."""

from __future__ import annotations

import os
import site
import sys
from collections.abc import Iterable
from pathlib import Path


def own_site_directories() -> list[Path]:
    """Return those of this process: ``PYTHONPATH``, user site, site-packages.

    Taken from the configuration, not from ``sys.path``: that one starts with the
    current directory and notebooks change it.
    """
    candidates = [p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p]
    if sys.flags.ignore_environment:
        candidates = []
    sites = site.getsitepackages()
    if site.ENABLE_USER_SITE:
        sites.insert(0, site.getusersitepackages())
    active = {os.path.realpath(entry) for entry in sys.path if entry}
    sites = [s for s in sites if os.path.realpath(s) in active]
    return _existing([*candidates, *sites, *_linked(sites)])


def site_directories_of(prefix: Path, base: Path, version: str) -> list[Path]:
    """Return those of another environment, as it looks without ``PYTHONPATH``.

    Args:
        prefix: the environment.
        base: prefix of the Python it was made from.
        version: its Python version.
    """
    minor = "python" + ".".join(version.rstrip("t").split(".")[:2])
    sites = _below(prefix, minor)
    if base != prefix and _takes_system_site_packages(prefix):
        sites += _below(base, minor)
    return _existing([*sites, *_linked(sites)])


def _below(prefix: Path, minor: str) -> list[str]:
    # Debian's own Python has dist-packages, and /usr/local beside /usr.
    return [
        f"{prefix}/{local}{lib}/{directory}"
        for local in ("local/", "")
        for lib, directory in (
            ("lib64", f"{minor}/site-packages"),
            ("lib", f"{minor}/site-packages"),
            ("lib", f"{minor}/dist-packages"),
            ("lib", "python3/dist-packages"),
        )
    ]


def _takes_system_site_packages(prefix: Path) -> bool:
    try:
        lines = (prefix / "pyvenv.cfg").read_text(encoding="utf-8").splitlines()
    except OSError:  # no virtual environment at all, such as conda's
        return False
    settings = (line.partition("=") for line in lines)
    return any(
        key.strip() == "include-system-site-packages" and value.strip() == "true"
        for key, _, value in settings
    )


def _linked(sites: Iterable[str]) -> list[str]:
    """Return the directories that the ``.pth`` files of site-packages add."""
    found = []
    for directory in sites:
        try:
            names = sorted(n for n in os.listdir(directory) if n.endswith(".pth"))
        except OSError:
            continue
        for name in names:
            try:
                text = Path(directory, name).read_text(encoding="utf-8")
            except (OSError, ValueError):
                continue
            found += [
                os.path.join(directory, line.rstrip())
                for line in text.splitlines()
                if line.strip() and not line.startswith(("#", "import ", "import\t"))
            ]
    return found


def _existing(candidates: Iterable[str]) -> list[Path]:
    """Keep directories, each once however many links lead to it."""
    seen: set[tuple[int, int]] = set()
    found = []
    for candidate in candidates:
        try:
            status = os.stat(candidate)
        except (OSError, ValueError):
            continue
        key = (status.st_dev, status.st_ino)
        if os.path.isdir(candidate) and key not in seen:
            seen.add(key)
            found.append(Path(os.path.abspath(candidate)))
    return found
