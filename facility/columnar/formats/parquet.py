"""Parquet through pyarrow; a row group is a cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import accumulate, pairwise

import awkward as ak
import pyarrow as pa
import pyarrow.parquet as pq

from facility.columnar.buffers import Buffers, Unshared
from facility.columnar.columns import Column, ColumnType
from facility.columnar.errors import DatasetError, one_line
from facility.columnar.formats.arrays import type_of_form, unusable
from facility.columnar.formats.arrow import column_of
from facility.columnar.formats.base import FileIdentity
from facility.columnar.remote import Location
from facility.columnar.remote.reader import RemoteReader


class ParquetColumns:
    """One Parquet file."""

    tree = ""

    def __init__(self, path: Location) -> None:
        """Read the footer.

        Raises:
            DatasetError: truncated or unreadable.
        """
        try:
            self._file = (
                pq.ParquetFile(
                    pa.PythonFile(RemoteReader(path)),
                    pre_buffer=True,
                    page_checksum_verification=True,
                )
                if isinstance(path, str)
                else pq.ParquetFile(
                    path, pre_buffer=False, page_checksum_verification=True
                )
            )
        except (pa.ArrowException, OSError) as error:
            raise DatasetError(
                f"{path} cannot be read as Parquet ({one_line(error)}): it may be "
                "truncated; copy it again"
            ) from error
        self.identity = FileIdentity.of(path)
        self._types: dict[str, ColumnType | None] = {}
        self._meta = self._file.metadata
        rows = (
            self._meta.row_group(i).num_rows for i in range(self._meta.num_row_groups)
        )
        self._starts = list(accumulate(rows, initial=0))
        self.bytes_read = int(self._meta.serialized_size)

    @property
    def entries(self) -> int:
        return int(self._meta.num_rows)

    @cached_property
    def columns(self) -> Sequence[str]:
        return tuple(str(n) for n in self._file.schema_arrow.names)

    def close(self) -> None:
        self._file.close()

    def boundaries(self) -> list[int]:
        return sorted({0, *self._starts})

    def read(self, column: str, start: int, stop: int) -> ak.Array:
        table = self._table([column], start, stop)
        return ak.from_arrow(table.column(column), highlevel=True)

    def read_together(
        self, columns: Sequence[str], start: int, stop: int
    ) -> dict[str, ak.Array]:
        return {name: self.read(name, start, stop) for name in columns}

    def type_of(self, name: str) -> ColumnType | None:
        if name not in self._types:
            schema = pa.schema([self._file.schema_arrow.field(name)])
            form = ak.from_arrow_schema(schema).content(name)
            self._types[name] = type_of_form(form)
        return self._types[name]

    def size_of(self, name: str) -> int | None:
        groups = map(self._meta.row_group, range(self._meta.num_row_groups))
        return sum(
            int(group.column(i).total_uncompressed_size)
            for group in groups
            for i in self._leaves[name]
        )

    @cached_property
    def _leaves(self) -> Mapping[str, Sequence[int]]:
        """Which of Parquet's columns, that are numbers, make a column."""
        schema, count = self._meta.schema, self._meta.num_columns
        paths = [schema.column(i).path for i in range(count)]
        found: dict[str, Sequence[int]] = {}
        first = 0  # they are in the order of the columns, whose names may have dots
        for name in self.columns:
            last = first
            while last < count and f"{paths[last]}.".startswith(f"{name}."):
                last += 1
            found[name] = range(first, last)
            first = last
        return found

    def plain(
        self,
        names: Sequence[str],
        start: int,
        stop: int,
        buffers: Buffers | None = None,
        contents: Sequence[str] = (),
    ) -> dict[str, Column]:
        table = self._table(list(names), start, stop)
        memory = buffers or Unshared()
        columns: dict[str, Column] = {}
        for name in names:
            try:
                values, is_listed = table.column(name), name not in contents
                columns[name] = column_of(name, values, memory, is_listed=is_listed)
            except ValueError as error:
                raise unusable(self.identity.path, name, start, stop, error) from error
        return columns

    def _table(self, names: list[str], start: int, stop: int) -> pa.Table:
        groups = [
            i
            for i, (first, last) in enumerate(pairwise(self._starts))
            if first < stop and last > start
        ]
        self.bytes_read += sum(self._size(i, n) for i in groups for n in names)
        table = self._file.read_row_groups(groups, columns=names, use_threads=False)
        first = self._starts[groups[0]] if groups else start
        return table.slice(start - first, stop - start)

    def _size(self, group: int, column: str) -> int:
        meta = self._meta.row_group(group)
        return sum(
            int(meta.column(i).total_compressed_size) for i in self._leaves[column]
        )
