"""Which installed files belong to which distribution, by the installers' records.

Sources: "Recording installed projects" of the Python packaging specifications
(``RECORD``); conda's ``conda-meta/*.json``; setuptools' ``installed-files.txt``.
"""

from __future__ import annotations

import csv
import json
import os
import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from offload.snapshot.cuts import Group

_STANDARD = re.compile(rb"lib(?:64)?/python[0-9.]+t?/(?!site-packages/|dist-packages/)")
REST = "rest"
"""Name of the group of what no record lists."""


def cut_by_distribution(
    root: Path, site_directories: Sequence[Path], paths: Iterable[bytes]
) -> tuple[Group, ...]:
    """Group the files of an installation; every path is in exactly one group.

    Where two records name a file, the first by name has it. A record's own name for a
    file that is not there counts for nothing.

    Args:
        root: the installation, such as an environment's prefix.
        site_directories: where below it distributions are.
        paths: what is there, relative to the root.
    """
    free = set(paths)
    groups: dict[str, Group] = {}
    for name, listed in sorted(
        (*_of_conda(root), *_of_python(root, site_directories)),
        key=lambda record: record[0],
    ):
        own = free.intersection(listed)
        if own and name not in groups:
            groups[name] = Group(name, tuple(sorted(own)), is_recorded=True)
            free -= own
    if free:
        groups[REST] = Group(REST, tuple(sorted(free)), is_recorded=False)
    return tuple(groups.values())


def with_standard_library(groups: Iterable[Group], version: str) -> tuple[Group, ...]:
    """Part the standard library of an interpreter from what no record lists."""
    parted = []
    for group in groups:
        if group.name != REST:
            parted.append(group)
            continue
        library = tuple(path for path in group.paths if _STANDARD.match(path))
        others = tuple(path for path in group.paths if not _STANDARD.match(path))
        if library:
            parted.append(Group(f"python-{version}", library, is_recorded=True))
        if others:
            parted.append(Group(REST, others, is_recorded=False))
    return tuple(parted)


def _of_conda(root: Path) -> Iterator[tuple[str, set[bytes]]]:
    for record in (root / "conda-meta").glob("*.json"):
        try:
            data = json.loads(record.read_bytes())
        except (OSError, ValueError, RecursionError):
            continue
        files = data.get("files") if isinstance(data, dict) else None
        if isinstance(files, list):
            names = {os.fsencode(name) for name in files if isinstance(name, str)}
            yield record.stem, names | {b"conda-meta/" + os.fsencode(record.name)}


def _of_python(
    root: Path, site_directories: Sequence[Path]
) -> Iterator[tuple[str, set[bytes]]]:
    real = root.resolve()
    for directory in site_directories:
        place = directory.resolve()
        if not place.is_relative_to(real):
            continue
        start = os.fspath(place.relative_to(real))
        for metadata in place.iterdir():
            if metadata.suffix == ".dist-info":
                names, below = _record(metadata / "RECORD"), start
            elif metadata.suffix == ".egg-info" and metadata.is_dir():
                listed = metadata / "installed-files.txt"
                names, below = _lines(listed), posixpath.join(start, metadata.name)
            else:
                continue
            yield (
                metadata.stem,
                {os.fsencode(posixpath.normpath(f"{below}/{name}")) for name in names},
            )


def _record(path: Path) -> list[str]:
    return [row[0] for row in csv.reader(_lines(path)) if row and "\0" not in row[0]]


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return []
    return [line for line in text.splitlines() if line and "\0" not in line]
