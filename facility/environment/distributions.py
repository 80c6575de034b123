"""Reads installed distributions from disk: ``dist-info``, ``egg-info``, conda-meta.

No code of the environment runs and nothing is imported. Names and versions come from
the names of the directories, so that only what has an unusual origin is opened.
Sources: PEP 376, 503, 610 and 660; "Recording installed projects" and "Direct URL" of
the Python packaging specifications.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from facility.environment.model import Distribution, Origin

_FINDER = re.compile(r"^MAPPING(?:: [^=]*)? = (\{.*\})$", re.MULTILINE)
_CREDENTIALS = re.compile(r"(?<=://)[^/@]*@")
_UNRECORDED = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")


@dataclass(frozen=True, slots=True)
class Installed:
    """A distribution and, if it is editable, where its sources are imported from."""

    name: str
    distribution: Distribution
    sources: tuple[str, ...] = ()


def normalised(name: str) -> str:
    """Return the name as PEP 503 compares it: ``Foo_Bar`` is ``foo-bar``."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_distributions(
    directories: Iterable[Path], prefix: Path
) -> dict[str, Installed]:
    """Return what is installed, by normalised name, sorted.

    The first directory that has a name wins, as in an import. What an interrupted
    installer left behind is passed over.
    """
    found: dict[str, Installed] = {}
    for directory in directories:
        for installed in _in_directory(directory):
            found.setdefault(installed.name, installed)
    for installed in _in_conda(prefix):
        found.setdefault(installed.name, installed)
    return dict(sorted(found.items()))


def _in_directory(directory: Path) -> Iterator[Installed]:
    try:
        names = sorted(os.listdir(directory))
    except OSError:
        return
    is_source = "site-packages" != directory.name != "dist-packages"
    for entry in names:
        if entry.startswith("~"):  # pip's name for what it was removing
            continue
        if entry.endswith(".dist-info"):
            installed = _dist_info(directory / entry)
        elif entry.endswith(".egg-info"):
            installed = _egg_info(directory / entry, is_source=is_source)
        else:
            continue
        if installed is not None:
            yield installed


def _dist_info(path: Path) -> Installed | None:
    raw_name, _, version = path.name.removesuffix(".dist-info").partition("-")
    try:
        files = set(os.listdir(path))
    except OSError:
        return None
    if "METADATA" not in files or not raw_name or not version:
        return None
    name = normalised(raw_name)
    if "direct_url.json" in files:
        direct = _read_json(path / "direct_url.json")
        if direct is not None:
            return _from_direct_url(name, version, direct, path)
    if "INSTALLER" not in files:
        return Installed(name, Distribution(version, Origin.OTHER))
    installer = _read(path / "INSTALLER").strip().lower()
    origin = {"conda": Origin.CONDA, "debian": Origin.OTHER, "rpm": Origin.OTHER}.get(
        installer, Origin.INDEX
    )
    return Installed(name, Distribution(version, origin))


def _from_direct_url(
    name: str, version: str, direct: Mapping[str, object], path: Path
) -> Installed:
    raw_url = direct.get("url")
    url = _CREDENTIALS.sub("", raw_url) if isinstance(raw_url, str) else None
    vcs, archive = direct.get("vcs_info"), direct.get("archive_info")
    directory = direct.get("dir_info")
    if isinstance(vcs, dict):
        commit = vcs.get("commit_id")
        return Installed(
            name,
            Distribution(
                version, Origin.VCS, commit if isinstance(commit, str) else None, url
            ),
        )
    if isinstance(directory, dict) and directory.get("editable") is True:
        return Installed(
            name,
            Distribution(version, Origin.EDITABLE, url=url),
            sources=_sources(path, url or ""),
        )
    if isinstance(archive, dict):
        contents = _archive_hash(archive) or _record_digest(path)
        return Installed(name, Distribution(version, Origin.ARCHIVE, contents, url))
    return Installed(
        name, Distribution(version, Origin.LOCAL, _record_digest(path), url)
    )


def _archive_hash(archive: Mapping[str, object]) -> str | None:
    hashes = archive.get("hashes")
    if isinstance(hashes, dict) and isinstance(hashes.get("sha256"), str):
        return str(hashes["sha256"])
    old = archive.get("hash")  # the older form of PEP 610: "sha256=..."
    return old.partition("=")[2] or None if isinstance(old, str) else None


def _record_digest(dist_info: Path) -> str | None:
    """Digest the hashes of the installed files, wherever they are installed.

    Scripts (``../../../bin``) are left out: their first line names the place.
    """
    lines = []
    for line in _read(dist_info / "RECORD").splitlines():
        file, _, rest = line.rpartition(",")[0].rpartition(",")
        is_mark = file.endswith(_UNRECORDED) and ".dist-info/" in file
        if rest and not file.startswith(("..", "/")) and not is_mark:
            lines.append(f"{file} {rest}")
    if not lines:
        return None
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def _sources(dist_info: Path, url: str) -> tuple[str, ...]:
    """Find where an editable distribution is imported from (PEP 660 leaves it open).

    The ``.pth`` files and finders that RECORD names say it; else the project itself.
    """
    found: list[str] = []
    site = dist_info.parent
    for line in _read(dist_info / "RECORD").splitlines():
        file = line.partition(",")[0].strip('"')
        if file.endswith(".pth"):
            found += [
                str(site / entry)
                for entry in _read(site / file).splitlines()
                if entry.strip() and not entry.startswith(("#", "import "))
            ]
        elif file.startswith("__editable___") and file.endswith("_finder.py"):
            for mapping in _FINDER.findall(_read(site / file)):
                found += _finder_paths(mapping)
    if not found and url.startswith("file://"):
        from urllib.parse import unquote  # 4 ms that the usual path does not need

        project = unquote(url.removeprefix("file://"))
        source = os.path.join(project, "src")
        found.append(source if os.path.isdir(source) else project)
    return tuple(dict.fromkeys(found))


def _finder_paths(literal: str) -> list[str]:
    try:
        mapping = ast.literal_eval(literal)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return []
    if not isinstance(mapping, dict):
        return []
    return [path for path in mapping.values() if isinstance(path, str)]


def _egg_info(path: Path, *, is_source: bool) -> Installed | None:
    stem = path.name.removesuffix(".egg-info")
    raw_name, _, rest = stem.partition("-")
    version = re.sub(r"-py\d.*$", "", rest)
    if not version:
        text = _read(path / "PKG-INFO" if path.is_dir() else path)
        match = re.search(r"^Version: *(\S+)", text, re.MULTILINE)
        if match is None:
            return None
        version = match[1]
    if is_source:  # a source tree that a .pth file makes importable
        return Installed(
            normalised(raw_name),
            Distribution(version, Origin.EDITABLE, url=path.parent.as_uri()),
            sources=(str(path.parent),),
        )
    return Installed(normalised(raw_name), Distribution(version, Origin.OTHER))


def _in_conda(prefix: Path) -> Iterator[Installed]:
    """Read conda packages by the names of their records: ``name-version-build.json``.

    Those that are Python distributions too were found before and win.
    """
    try:
        names = sorted(os.listdir(prefix / "conda-meta"))
    except OSError:
        return
    for entry in names:
        parts = entry.removesuffix(".json").rsplit("-", 2)
        if entry.endswith(".json") and len(parts) == 3 and parts[0] != "python":
            name, version, build = parts
            yield Installed(
                normalised(name), Distribution(version, Origin.CONDA, build)
            )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _read_json(path: Path) -> dict[str, object] | None:
    try:
        data = json.loads(_read(path))
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None
