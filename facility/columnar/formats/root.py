"""TTree and RNTuple: what compiled code can read, and all else through uproot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import awkward as ak
import numpy as np
import uproot
from uproot.source.file import MemmapSource

from facility.columnar.baskets.filling import MissingLibraryError
from facility.columnar.baskets.machine import is_available, is_compiled
from facility.columnar.baskets.positions import (
    Baskets,
    Layout,
    Lists,
)
from facility.columnar.baskets.reading import BasketReader
from facility.columnar.baskets.sources import LocalSource, RemoteBytes, Source
from facility.columnar.buffers import Buffers, Unshared
from facility.columnar.columns import Column, ColumnType
from facility.columnar.errors import DatasetError, one_line
from facility.columnar.formats.arrays import (
    plain_columns,
    sharing_offsets,
    to_array,
    without_offsets,
)
from facility.columnar.formats.plan_cache import find_plan, keep_plan
from facility.columnar.formats.root_header import identify_root
from facility.columnar.formats.root_metadata import plan_of, planned_column
from facility.columnar.formats.root_trees import only_tree, tree_of, unreadable_tree
from facility.columnar.remote import Location
from facility.columnar.remote.uproot_source import RemoteSource
from facility.errors import FacilityError

WORTH_COMPILING_BYTES = 1 << 30
"""Once read by uproot: the compiler takes 4 s of CPU, uproot 3 s longer for these."""


@dataclass
class _Missed:
    """What this process has read without compiled code, and could have with it."""

    bytes: int = 0


_missed = _Missed()


class RootColumns:
    """One TTree or RNTuple of one ROOT file.

    What it has is known from its plan, which is kept for the next time; uproot opens
    the file if it was never seen, or for columns that are not plain.
    """

    def __init__(self, path: Location, tree: str | None) -> None:
        """Find or make the plan of the tree.

        Raises:
            DatasetError: truncated, unreadable, or the tree is not there.
        """
        self._path = path
        self.identity = identify_root(path)
        asked = tree or ""
        plan = find_plan(self.identity, asked)
        if plan is None:
            name = tree or only_tree(path, self.directory)
            plan = keep_plan(self.identity, asked, *self._planned(name))
        self._plan = plan
        self._source = _source_of(path)
        self._reader = BasketReader(self._source)
        self._baskets_of: dict[str, Baskets | Lists | None] = {}
        self._needed_for: dict[str, tuple[dict[str, Baskets | Lists], int]] = {}

    @cached_property
    def directory(self) -> uproot.ReadOnlyDirectory:
        """The open file, for who reads it with uproot."""
        try:
            # uproot's array cache would hold 100 MB per process and serve nothing:
            # every chunk is read once. Its default source hands each read to another
            # thread, which a local file does not need: 25 % of the rate.
            handler = RemoteSource if isinstance(self._path, str) else MemmapSource
            return uproot.open(self._path, array_cache=None, handler=handler)
        except FacilityError:  # of a remote file: it says all
            raise
        except Exception as error:  # uproot raises whatever the bytes lead it to
            raise DatasetError(
                f"{self._path} cannot be read as a ROOT file ({one_line(error)}): "
                "copy it again"
            ) from error

    @cached_property
    def _object(self) -> Any:
        return tree_of(self._path, self.directory, self.tree)

    @property
    def tree(self) -> str:
        return self._plan.tree

    @property
    def entries(self) -> int:
        return self._plan.entries

    @property
    def columns(self) -> Sequence[str]:
        return self._plan.columns

    @property
    def bytes_read(self) -> int:
        requested = self._source.bytes_read
        if "directory" in self.__dict__:
            requested += int(self.directory.file.source.num_requested_bytes)
        return requested

    def close(self) -> None:
        # Explicitly: uproot's objects refer to each other, so they would keep the
        # file open until the garbage collector comes by.
        if "directory" in self.__dict__:
            self.directory.close()
        self._source.close()

    def boundaries(self) -> list[int]:
        return self._plan.boundaries

    def type_of(self, name: str) -> ColumnType | None:
        return self._plan.type_of(name)

    def size_of(self, name: str) -> int | None:
        return self._plan.size_of(name)

    def read(self, column: str, start: int, stop: int) -> ak.Array:
        return self.read_together([column], start, stop)[column]

    def read_together(
        self, columns: Sequence[str], start: int, stop: int
    ) -> dict[str, ak.Array]:
        if start == stop:
            return {name: self._nothing(name) for name in columns}
        able = [n for n in columns if self._is_compiled_worth(n, stop - start)]
        found = self._compiled(able, start, stop, Unshared()) if able else {}
        return {
            name: to_array(found[name])
            if name in found
            else self._object[name].array(entry_start=start, entry_stop=stop)
            for name in columns
        }

    def plain(
        self,
        names: Sequence[str],
        start: int,
        stop: int,
        buffers: Buffers | None = None,
        contents: Sequence[str] = (),
    ) -> dict[str, Column]:
        memory = buffers or Unshared()
        columns = self._compiled(names, start, stop, memory, contents)
        rest = [n for n in names if n not in columns]
        columns |= without_offsets(plain_columns(self, rest, start, stop), contents)
        ordered = {name: columns[name] for name in names}
        return sharing_offsets(self, ordered, start, stop) if rest else ordered

    def _planned(self, name: str) -> tuple[bytes, bytes]:
        tree = tree_of(self._path, self.directory, name)
        try:
            return plan_of(name, tree)
        except FacilityError:
            raise
        except Exception as error:  # as above
            raise unreadable_tree(self._path, name, error) from error

    def _is_compiled_worth(self, column: str, events: int) -> bool:
        """Return whether there is compiled code, or reading would soon pay for it."""
        baskets = self._baskets(column)
        if baskets is None or not is_available():
            return False
        if not is_compiled():
            _missed.bytes += baskets.stored_bytes * events // self.entries
        return is_compiled() or _missed.bytes > WORTH_COMPILING_BYTES

    def _compiled(
        self,
        names: Sequence[str],
        start: int,
        stop: int,
        memory: Buffers,
        contents: Sequence[str] = (),
    ) -> dict[str, Column]:
        """Return those columns that compiled code can read."""
        branches: dict[str, Baskets | Lists] = {}
        able: list[str] = []
        for name in names:
            needed, last = self._needed(name)
            if stop <= last:
                branches |= needed
                able.append(name)
        try:
            alone = [name for name in able if name in contents]
            return self._reader.columns(branches, able, start, stop, memory, alone)
        except MissingLibraryError:
            return {}

    def _needed(self, name: str) -> tuple[dict[str, Baskets | Lists], int]:
        """Return what compiled code reads a column from, and up to which entry.

        That is the branch, and its count branch; up to -1 if it cannot.
        """
        if name not in self._needed_for:
            found = self._found(name) if is_available() else {}
            last = min((b.last for b in found.values()), default=-1)
            self._needed_for[name] = found, last
        return self._needed_for[name]

    def _found(self, name: str) -> dict[str, Baskets | Lists]:
        baskets = self._baskets(name)
        if isinstance(baskets, Lists):
            return {name: baskets}
        needed: dict[str, Baskets | Lists | None] = {name: baskets}
        if baskets is not None and baskets.layout is Layout.COUNTED:
            counts = baskets.type.counts or ""
            needed[counts] = self._baskets(counts) if counts in self._plan else None
            if not _counts(needed[counts]):
                return {}
        found = {n: b for n, b in needed.items() if b is not None}
        will_do = len(found) == len(needed) and all(
            isinstance(b, Baskets) and b.layout is not Layout.OTHER
            for b in found.values()
        )
        return found if will_do else {}

    def _baskets(self, name: str) -> Baskets | Lists | None:
        if name not in self._baskets_of:
            try:
                self._baskets_of[name] = self._plan.baskets(name)
            except LookupError:  # the cache has lost it; the file has it
                self._baskets_of[name] = planned_column(self._object, name).baskets
        return self._baskets_of[name]

    def _nothing(self, column: str) -> ak.Array:
        """Return no entries of the column's type; uproot itself would read a basket."""
        plain = self.type_of(column)
        if plain is not None:
            offsets = np.zeros(1, np.int64) if plain.is_jagged else None
            return to_array(Column(np.zeros(0, plain.dtype), offsets))
        branch = self._object[column]
        if self._plan.is_rntuple:
            form, _ = branch.to_akform()
            return ak.Array(form.length_zero_array())[branch.name]
        form = branch.interpretation.awkward_form(branch.file)
        return ak.Array(form.length_zero_array())


def _source_of(path: Location) -> Source:
    return RemoteBytes(path) if isinstance(path, str) else LocalSource(path)


def _counts(baskets: Baskets | Lists | None) -> bool:
    return (
        isinstance(baskets, Baskets)
        and baskets.layout is Layout.FLAT
        and baskets.type.dtype.kind in "iu"
    )
