"""TTree and RNTuple through uproot."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import awkward as ak
import uproot
from uproot.source.file import MemmapSource

from facility.columnar.baskets.filling import MissingLibraryError
from facility.columnar.baskets.machine import is_available
from facility.columnar.baskets.positions import (
    Baskets,
    Layout,
    baskets_of,
    type_of_branch,
)
from facility.columnar.baskets.reading import BasketReader
from facility.columnar.baskets.sources import LocalSource, RemoteBytes, Source
from facility.columnar.buffers import Buffers
from facility.columnar.columns import Column, ColumnType
from facility.columnar.errors import DatasetError, nearest, one_line
from facility.columnar.formats.arrays import (
    plain_columns,
    sharing_offsets,
    type_of_form,
)
from facility.columnar.formats.base import FileIdentity
from facility.columnar.remote import Location, RemoteFile
from facility.columnar.remote.uproot_source import RemoteSource
from facility.errors import FacilityError

TREE_CLASSES = ("TTree", "TNtuple", "TNtupleD", "ROOT::RNTuple", "TChain")


class RootColumns:
    """One TTree or RNTuple of one ROOT file."""

    def __init__(self, path: Location, tree: str | None) -> None:
        """Open the file and read the tree's metadata.

        Raises:
            DatasetError: truncated, unreadable, or the tree is not there.
        """
        _refuse_truncated(path)
        try:
            # uproot's array cache would hold 100 MB per process and serve nothing:
            # every chunk is read once. Its default source hands each read to another
            # thread, which a local file does not need: 25 % of the rate.
            handler = RemoteSource if isinstance(path, str) else MemmapSource
            self._file = uproot.open(path, array_cache=None, handler=handler)
        except FacilityError:  # of a remote file: it says all
            raise
        except Exception as error:  # uproot raises whatever the bytes lead it to
            raise DatasetError(
                f"{path} cannot be read as a ROOT file ({one_line(error)}): "
                "copy it again"
            ) from error
        self.tree = tree or _only_tree(path, self._file)
        self._object = _tree_of(path, self._file, self.tree)
        self.identity = FileIdentity.of(path, str(self._file.file.uuid))
        self._source = _source_of(path)
        self._reader = BasketReader(self._source)
        self._found: dict[str, Baskets | None] = {}

    @property
    def directory(self) -> uproot.ReadOnlyDirectory:
        """The open file, for who reads it with uproot."""
        return self._file

    @property
    def entries(self) -> int:
        return int(self._object.num_entries)

    @cached_property
    def columns(self) -> Sequence[str]:
        if self._is_rntuple:
            return list(self._object.keys())
        # A branch in a split object is known by its own name, as in TTree::Draw.
        paths = self._object.keys(recursive=True)
        return list(dict.fromkeys([*paths, *(p.rpartition("/")[2] for p in paths)]))

    @property
    def bytes_read(self) -> int:
        requested = int(self._file.file.source.num_requested_bytes)
        return requested + self._source.bytes_read

    def close(self) -> None:
        # Explicitly: uproot's objects refer to each other, so they would keep the
        # file open until the garbage collector comes by.
        self._file.close()
        self._source.close()

    def boundaries(self) -> list[int]:
        if self._is_rntuple:
            first = [int(c.num_first_entry) for c in self._object.cluster_summaries]
            return sorted({0, *first, self.entries})
        # Where the baskets of all branches begin: ROOT flushes them all at the end of
        # a cluster, and writers without clusters have such places too.
        common = (int(o) for o in self._object.common_entry_offsets())
        return sorted({0, *common, self.entries})

    def read(self, column: str, start: int, stop: int) -> ak.Array:
        if start == stop:
            return self._nothing(column)
        return self._object[column].array(entry_start=start, entry_stop=stop)

    def type_of(self, name: str) -> ColumnType | None:
        branch = self._object[name]
        if self._is_rntuple:
            form, _ = branch.to_akform()
            return type_of_form(form.content(branch.name))
        return type_of_branch(branch)

    def size_of(self, name: str) -> int | None:
        if self._is_rntuple:
            return None
        return int(self._object[name].uncompressed_bytes)

    def plain(
        self,
        names: Sequence[str],
        start: int,
        stop: int,
        buffers: Buffers | None = None,
    ) -> dict[str, Column]:
        memory = buffers or Buffers()
        columns = self._compiled(names, start, stop, memory)
        rest = [n for n in names if n not in columns]
        columns |= plain_columns(self, rest, start, stop)
        ordered = {name: columns[name] for name in names}
        return sharing_offsets(self, ordered, start, stop) if rest else ordered

    def _compiled(
        self, names: Sequence[str], start: int, stop: int, memory: Buffers
    ) -> dict[str, Column]:
        """Return those columns that compiled code can read."""
        if self._is_rntuple or not is_available():
            return {}
        branches: dict[str, Baskets] = {}
        able: list[str] = []
        for name in names:
            needed = self._needed(name, stop)
            if needed:
                branches |= needed
                able.append(name)
        try:
            return self._reader.columns(branches, able, start, stop, memory)
        except MissingLibraryError:
            return {}

    def _needed(self, name: str, stop: int) -> dict[str, Baskets]:
        """Return the baskets of a branch and of its count branch, if both will do."""
        baskets = self._baskets(name)
        needed = {name: baskets}
        if baskets is not None and baskets.layout is Layout.COUNTED:
            counts = baskets.type.counts or ""
            needed[counts] = self._baskets(counts)
            if not _counts(needed[counts]):
                return {}
        found = {n: b for n, b in needed.items() if b is not None}
        will_do = len(found) == len(needed) and all(
            b.layout is not Layout.OTHER and b.entries[-1] >= stop
            for b in found.values()
        )
        return found if will_do else {}

    def _baskets(self, name: str) -> Baskets | None:
        if name not in self._found:
            self._found[name] = baskets_of(self._object[name])
        return self._found[name]

    def _nothing(self, column: str) -> ak.Array:
        """Return no entries of the column's type; uproot itself would read a basket."""
        branch = self._object[column]
        if self._is_rntuple:
            form, _ = branch.to_akform()
            return ak.Array(form.length_zero_array())[branch.name]
        form = branch.interpretation.awkward_form(branch.file)
        return ak.Array(form.length_zero_array())

    @cached_property
    def _is_rntuple(self) -> bool:
        return isinstance(self._object, uproot.behaviors.RNTuple.HasFields)


def _source_of(path: Location) -> Source:
    return RemoteBytes(path) if isinstance(path, str) else LocalSource(path)


def _counts(baskets: Baskets | None) -> bool:
    return (
        baskets is not None
        and baskets.layout is Layout.FLAT
        and baskets.type.dtype.kind in "iu"
    )


def _refuse_truncated(path: Location) -> None:
    """Compare the end that the header declares with the end of the file.

    The header is described in ROOT's ``TFile`` reference ("ROOT file structure"):
    version at byte 4, fBEGIN at 8, fEND at 12, of 8 bytes if version >= 1000000.
    """
    if isinstance(path, str):
        remote = RemoteFile(path)
        size = remote.info().size_bytes
        head = bytes(remote.read([(0, min(20, size))])[0])
    else:
        with path.open("rb") as file:
            head = file.read(20)
        size = path.stat().st_size
    if len(head) < 20:
        raise DatasetError(f"{path} is truncated: {size} bytes, less than a header")
    (version,) = struct.unpack_from(">i", head, 4)
    (end,) = struct.unpack_from(">q" if version >= 1_000_000 else ">i", head, 12)
    if size < end:
        raise DatasetError(
            f"{path} is truncated: its header declares {end} bytes, it has {size}; "
            "copy it again"
        )


def _only_tree(path: Location, file: Any) -> str:
    names = file.classnames(recursive=True, cycle=False)
    trees = [n for n, kind in names.items() if kind in TREE_CLASSES]
    if len(trees) == 1:
        return str(trees[0])
    if not trees:
        raise DatasetError(f"{path} has no TTree or RNTuple")
    # NanoAOD and its relatives keep the events beside small trees of metadata.
    if "Events" in trees:
        return "Events"
    raise DatasetError(
        f"{path} has {len(trees)} trees, choose one with tree=...: {', '.join(trees)}"
    )


def _tree_of(path: Location, file: Any, name: str) -> Any:
    try:
        found = file[name]
    except uproot.KeyInFileError as error:
        near = nearest(name, file.keys(cycle=False))
        raise DatasetError(
            f"{path} has no tree {name!r}: it has "
            f"{', '.join(near or file.keys(cycle=False)) or 'nothing'}"
        ) from error
    except Exception as error:  # as above
        raise DatasetError(
            f"{path}: tree {name!r} cannot be read ({one_line(error)}): copy the file "
            "again"
        ) from error
    if not hasattr(found, "num_entries"):
        raise DatasetError(f"{path}: {name!r} is a {found.classname}, expected a TTree")
    return found
