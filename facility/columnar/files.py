"""Which files a dataset is: paths, globs and lists of them, each file once."""

from __future__ import annotations

import glob  # pathlib's own has no absolute patterns
import os
from collections.abc import Iterable
from pathlib import Path

from facility.columnar.errors import DatasetError, nearest

PathLike = str | os.PathLike[str]


def expand(files: PathLike | Iterable[PathLike]) -> tuple[Path, ...]:
    """Return absolute paths in the given order, globs sorted, each file once.

    Raises:
        DatasetError: a file does not exist, or a glob matches none.
    """
    given = [files] if isinstance(files, str | os.PathLike) else list(files)
    if not given:
        raise DatasetError("the dataset has no files: give a path, a glob or a list")
    paths: dict[Path, None] = {}
    for one in given:
        for path in _matches(os.fspath(one)):
            paths[path] = None
    return tuple(paths)


def _matches(pattern: str) -> list[Path]:
    if "://" in pattern:
        raise DatasetError(
            f"{pattern} is a URL, expected a path on this machine: copy the file, or "
            "mount where it is"
        )
    path = Path(pattern).expanduser()
    if path.is_file():
        return [path.resolve()]
    if glob.has_magic(pattern):
        found = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207
        files = [Path(f).resolve() for f in found if Path(f).is_file()]
        if not files:
            raise DatasetError(f"no file matches {pattern} (from {Path.cwd()})")
        return files
    if path.is_dir():
        raise DatasetError(f"{path} is a directory, expected a file: try {path}/*.root")
    neighbours = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    near = nearest(path.name, neighbours)
    hint = f": did you mean {', '.join(near)}?" if near else ""
    raise DatasetError(f"file {path} does not exist{hint}")
