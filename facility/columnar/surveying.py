"""What the files of a dataset say of the branches that an analysis reads.

Before anything runs: whether all files have them, of the same type, and how large they
are. Only metadata are read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import TypeVar

from facility.columnar.columns import ColumnType
from facility.columnar.errors import DatasetError, MissingBranchError, nearest
from facility.columnar.formats import (
    ColumnFile,
    FileIdentity,
    keep,
    open_columns,
)
from facility.columnar.planning import PlannedFile
from facility.columnar.remote import Location, is_remote, shown

METADATA_THREADS = 4
"""Files whose metadata are read at once: most of it is waiting for a disk or server.

Each holds a file's tree as uproot has it: with twice as many, a run over 100 files has
6 MiB more at its peak.
"""

LIST_LENGTH = 4
"""Of lists, where a format does not say how large a column is: NanoAOD's mean is 3."""

_T = TypeVar("_T")
_R = TypeVar("_R")


@dataclass(frozen=True, slots=True)
class Survey:
    """What one file says of some branches."""

    path: str
    types: Mapping[str, ColumnType | None]
    """Of the branches it has; none if it is not plain."""
    missing: Mapping[str, Sequence[str]]
    """The nearest names for each branch that it lacks."""
    bytes_per_event: float
    """Of these branches, uncompressed, about."""


def metadata(path: Location, tree: str | None, *, is_kept: bool = False) -> PlannedFile:
    """Open a file and return what planning needs.

    Args:
        path: where it is.
        tree: name of it; found if there is one candidate.
        is_kept: whether it stays open, for this thread.

    Raises:
        DatasetError: it cannot be opened.
    """
    file = open_columns(path, tree)
    try:
        edges = tuple(file.boundaries())
        return PlannedFile(file.identity, file.tree, file.entries, edges)
    finally:
        if is_kept:
            keep(file)
        else:
            file.close()


def metadata_or_reason(path: Location, tree: str | None) -> PlannedFile:
    """Do :func:`metadata`, or return why that cannot be done."""
    try:
        return metadata(path, tree)
    except DatasetError as error:
        try:
            identity = FileIdentity.of(path)
        except (OSError, DatasetError):
            identity = FileIdentity(str(path), "", 0, 0)
        return PlannedFile(identity, tree or "", 0, (0,), str(error))


def survey_of(planned: PlannedFile, names: Sequence[str]) -> Survey:
    """Do :func:`survey` for a planned file."""
    with closing(open_columns(planned.identity.location, planned.tree or None)) as file:
        return survey(file, names)


def survey(file: ColumnFile, names: Iterable[str]) -> Survey:
    """Return what a file says of branches, reading nothing of them."""
    there = set(file.columns)
    types: dict[str, ColumnType | None] = {}
    missing: dict[str, Sequence[str]] = {}
    total = 0.0
    for name in names:
        if name not in there:
            missing[name] = nearest(name, there)
            continue
        types[name] = kind = file.type_of(name)
        size = file.size_of(name)
        if size is not None:
            total += size
        elif kind is not None:
            length = LIST_LENGTH if kind.is_jagged else 1
            total += kind.dtype.itemsize * length * file.entries
    return Survey(file.identity.path, types, missing, total / max(1, file.entries))


def require_same(surveys: Sequence[Survey]) -> None:
    """Raise if files differ in what an analysis reads; the first one is the measure.

    Raises:
        MissingBranchError: a file lacks a branch that the first one has.
        DatasetError: a branch is of another type in another file.
    """
    first, *others = surveys
    for other in others:
        for name, near in other.missing.items():
            hint = f"; did you mean {', '.join(near)}?" if near else ""
            raise MissingBranchError(
                f"{_shown(other)} has no branch {name!r}, {_shown(first)} has{hint}"
            )
        for name, kind in other.types.items():
            expected = first.types.get(name)
            if _described(kind) != _described(expected):
                raise DatasetError(
                    f"{_shown(other)}: branch {name!r} is {_described(kind)}, expected "
                    f"{_described(expected)} as in {_shown(first)}: make two datasets"
                )


def in_threads(function: Callable[[_T], _R], items: Sequence[_T]) -> list[_R]:
    """Return what the function makes of each item, in order; raise the first error."""
    with ThreadPoolExecutor(METADATA_THREADS, thread_name_prefix="metadata") as pool:
        futures = [pool.submit(function, item) for item in items]
        try:
            return [future.result() for future in futures]
        finally:
            for future in futures:
                future.cancel()


def _described(kind: ColumnType | None) -> str:
    if kind is None:
        return "neither numbers nor lists of numbers"
    return f"lists of {kind.dtype}" if kind.is_jagged else f"{kind.dtype}"


def _shown(survey: Survey) -> str:
    return shown(survey.path) if is_remote(survey.path) else survey.path
