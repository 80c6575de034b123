"""Which installed files belong to which distribution, by the installers' records.

What a public index gave out of a distribution is a group apart from the rest of it, which
is of this place: scripts that name the interpreter, the record itself.

Sources: "Recording installed projects" of the Python packaging specifications
(``RECORD``); conda's ``conda-meta/*.json``; setuptools' ``installed-files.txt``.
"""

from __future__ import annotations

import csv
import json
import os
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from facility.environment.published import published_files
from offload.snapshot.cuts import Group

_STANDARD = re.compile(rb"lib(?:64)?/python[0-9.]+t?/(?!site-packages/|dist-packages/)")
_Record = tuple[str, set[bytes], Mapping[bytes, str]]
"""A name, the files it lists, and those that an index gave out."""

LOCAL = "/local"
"""Ends the name of a group with what is not the index's of a public distribution."""
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
    for name, listed, published in sorted(
        (*_of_conda(root), *_of_python(root, site_directories)),
        key=lambda record: record[0],
    ):
        own = free.intersection(listed)
        if own and name not in groups:
            public = {path: published[path] for path in own & published.keys()}
            local = own - public.keys()
            if public:
                groups[name] = _recorded(name, public, public)
            if local:
                key = f"{name}{LOCAL}" if public else name
                groups[key] = _recorded(key, local)
            free -= own
    if free:
        groups[REST] = Group(REST, tuple(sorted(free)), is_recorded=False)
    return tuple(groups.values())


def _recorded(
    name: str, paths: Iterable[bytes], published: Mapping[bytes, str] | None = None
) -> Group:
    return Group(
        name, tuple(sorted(paths)), is_recorded=True, published=published or {}
    )


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


def _of_conda(root: Path) -> Iterator[_Record]:
    for record in (root / "conda-meta").glob("*.json"):
        try:
            data = json.loads(record.read_bytes())
        except (OSError, ValueError, RecursionError):
            continue
        files = data.get("files") if isinstance(data, dict) else None
        if isinstance(files, list):
            names = {os.fsencode(name) for name in files if isinstance(name, str)}
            yield record.stem, names | {b"conda-meta/" + os.fsencode(record.name)}, {}


def _of_python(root: Path, site_directories: Sequence[Path]) -> Iterator[_Record]:
    real = root.resolve()
    for directory in site_directories:
        place = directory.resolve()
        if not place.is_relative_to(real):
            continue
        start = os.fspath(place.relative_to(real))
        for metadata in place.iterdir():
            published: Mapping[str, str] = {}
            if metadata.suffix == ".dist-info":
                record = _record(metadata / "RECORD")
                published = published_files(metadata, record)
                names, below = [row[0] for row in record], start
            elif metadata.suffix == ".egg-info" and metadata.is_dir():
                listed = metadata / "installed-files.txt"
                names, below = _lines(listed), posixpath.join(start, metadata.name)
            else:
                continue
            paths = {name: _in_root(below, name) for name in names}
            yield (
                metadata.stem,
                set(paths.values()),
                {paths[name]: sha256 for name, sha256 in published.items()},
            )


def _in_root(folder: str, name: str) -> bytes:
    return os.fsencode(posixpath.normpath(f"{folder}/{name}"))


def _record(path: Path) -> list[list[str]]:
    return [row for row in csv.reader(_lines(path)) if row and "\0" not in row[0]]


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return []
    return [line for line in text.splitlines() if line and "\0" not in line]
