"""Which files a dataset is: paths, globs, folders, URLs and lists of them."""

from __future__ import annotations

import glob  # pathlib's own has no absolute patterns
import os
from collections.abc import Iterable
from pathlib import Path

from facility.columnar.errors import DatasetError, nearest
from facility.columnar.remote import Location, is_remote
from facility.columnar.remote.listing import listed

PathLike = str | os.PathLike[str]

ENDINGS = (".root", ".parquet", ".parq", ".pq")
"""Of the files that a folder stands for."""


def expand(
    files: PathLike | Iterable[PathLike], folder: Path | None = None
) -> tuple[Location, ...]:
    """Return absolute paths and URLs in the given order, each file once.

    Globs and folders are sorted. That a URL exists is not checked here.

    Args:
        files: one or several.
        folder: relative paths start here; none: the working directory.

    Raises:
        DatasetError: a file does not exist, a glob or folder has none, or they are no
            paths.
    """
    given: list[object]
    if isinstance(files, str | os.PathLike) or not hasattr(files, "__iter__"):
        given = [files]
    else:
        given = list(files)
    if not given:
        raise DatasetError("the dataset has no files: give a path, a glob or a list")
    found: dict[Location, None] = {}
    for one in given:
        if not isinstance(one, str | os.PathLike):
            raise DatasetError(
                f"{one!r} is no file: expected a path, a glob or a list of them"
            )
        name = os.fspath(one)
        matches = (
            listed(name, ENDINGS)
            if is_remote(name)
            else _matches(name.removeprefix("file://"), folder or Path())
        )
        found |= dict.fromkeys(matches)
    return tuple(found)


def _matches(pattern: str, folder: Path) -> list[Path]:
    path = folder / Path(pattern).expanduser()
    if path.is_file():
        return [path.resolve()]
    if path.is_dir():
        return _inside(path)
    if glob.has_magic(pattern):
        found = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207
        files = [Path(f).resolve() for f in found if Path(f).is_file()]
        if not files:
            raise DatasetError(f"no file matches {pattern} (from {folder.resolve()})")
        return files
    neighbours = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    near = nearest(path.name, neighbours)
    hint = f": did you mean {', '.join(near)}?" if near else ""
    raise DatasetError(f"file {path} does not exist{hint}")


def _inside(folder: Path) -> list[Path]:
    files = sorted(p for p in folder.iterdir() if p.name.endswith(ENDINGS))
    if not files:
        raise DatasetError(
            f"{folder} is a directory without {' or '.join(ENDINGS[:2])} files: give "
            f"a glob, {folder}/**/*.root"
        )
    return [f.resolve() for f in files]
