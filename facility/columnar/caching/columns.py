"""A file whose plain columns come from the store where it has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, cast, get_args

import awkward as ak
import numpy as np

from facility.columnar.buffers import Buffers
from facility.columnar.caching.store import ColumnStore, default_store
from facility.columnar.columns import Column
from facility.columnar.errors import ChunkError
from facility.columnar.formats import ColumnFile
from facility.columnar.formats.arrays import to_array, without_offsets
from facility.columnar.remote import is_remote
from facility.errors import UsageError

CacheUse = Literal["remote", "always", "never"]
"""Which files' columns are kept on disk."""


def cached(file: ColumnFile, use: CacheUse) -> ColumnFile:
    """Return the file, or one that keeps its columns on disk if ``use`` says so."""
    wanted = use == "always" or (use == "remote" and is_remote(file.identity.path))
    store = default_store() if wanted else None
    if store is None:
        return file
    return cast("ColumnFile", CachedColumns(file, store))  # by what it passes on


def require_known(use: str) -> CacheUse:
    """Return it; raise a :class:`UsageError` if it is not a :data:`CacheUse`."""
    if use not in get_args(CacheUse):
        raise UsageError(f"cache={use!r}: expected 'remote', 'always' or 'never'")
    return cast("CacheUse", use)


class CachedColumns:
    """A :class:`ColumnFile`; what is not plain, and all metadata, is the file's own."""

    def __init__(self, file: ColumnFile, store: ColumnStore) -> None:
        self._file = file
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def read(self, column: str, start: int, stop: int) -> ak.Array:
        """Do :meth:`ColumnFile.read`, from the store if it is there."""
        return self.read_together([column], start, stop)[column]

    def read_together(
        self, columns: Sequence[str], start: int, stop: int
    ) -> dict[str, ak.Array]:
        """Do :meth:`ColumnFile.read_together`, from the store where it has them."""
        if start == stop or any(self._file.type_of(name) is None for name in columns):
            return self._file.read_together(columns, start, stop)
        try:
            found = self.plain(columns, start, stop)
        except ChunkError:  # values are missing: only awkward arrays have that
            return self._file.read_together(columns, start, stop)
        return {name: to_array(column) for name, column in found.items()}

    def plain(
        self,
        names: Sequence[str],
        start: int,
        stop: int,
        buffers: Buffers | None = None,
        contents: Sequence[str] = (),
    ) -> dict[str, Column]:
        """Do :meth:`ColumnFile.plain`, from the store where it has them.

        Lists are kept with their offsets, for whoever needs them next.
        """
        if start == stop:
            return self._file.plain(names, start, stop, buffers, contents)
        offsets: dict[str, np.ndarray[Any, Any]] = {}
        found = {
            name: column
            for name in names
            if (column := self._kept(name, start, stop, offsets)) is not None
        }
        missing = [name for name in names if name not in found]
        if missing:
            new = self._file.plain(missing, start, stop, buffers)
            for name, column in new.items():
                self._keep(name, column, start, stop)
                if column.offsets is not None:
                    # Columns of one count branch share one array, whoever gave it.
                    shared = offsets.setdefault(self._lists(name), column.offsets)
                    column = Column(column.content, shared)  # noqa: PLW2901
                found[name] = column
        ordered = {name: found[name] for name in names}
        return without_offsets(ordered, contents)

    def _kept(
        self, name: str, start: int, stop: int, offsets: dict[str, Any]
    ) -> Column | None:
        content = self._store.get(self._key(name, start, stop))
        kind = self._file.type_of(name)
        if content is None or kind is None:
            return None
        if not kind.is_jagged:
            return Column(content)
        lists = self._lists(name)
        if lists not in offsets:
            kept = self._store.get(self._key(lists, start, stop))
            if kept is None:
                return None
            offsets[lists] = kept
        return Column(content, offsets[lists])

    def _keep(self, name: str, column: Column, start: int, stop: int) -> None:
        if column.offsets is not None:
            self._store.put(self._key(self._lists(name), start, stop), column.offsets)
        self._store.put(self._key(name, start, stop), column.content)

    def _lists(self, name: str) -> str:
        """Return the name of the offsets, which columns of one count branch share."""
        kind = self._file.type_of(name)
        return f"offsets of {(kind and kind.counts) or name}"

    def _key(self, name: str, start: int, stop: int) -> str:
        return repr((self._file.identity, self._file.tree, name, start, stop))
