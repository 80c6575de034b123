"""Parquet through pyarrow; a row group is a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

import awkward as ak
import pyarrow as pa
import pyarrow.parquet as pq

from facility.columnar.buffers import Buffers, Unshared
from facility.columnar.columns import Column, ColumnType
from facility.columnar.errors import DatasetError, one_line
from facility.columnar.formats.arrays import type_of_form, unusable, without_offsets
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
                    path, memory_map=True, page_checksum_verification=True
                )
            )
        except (pa.ArrowException, OSError) as error:
            raise DatasetError(
                f"{path} cannot be read as Parquet ({one_line(error)}): it may be "
                "truncated; copy it again"
            ) from error
        self.identity = FileIdentity.of(path)
        self._meta = self._file.metadata
        rows = (
            self._meta.row_group(i).num_rows for i in range(self._meta.num_row_groups)
        )
        self._starts = list(accumulate(rows, initial=0))
        self.bytes_read = int(self._meta.serialized_size)

    @property
    def entries(self) -> int:
        return int(self._meta.num_rows)

    @property
    def columns(self) -> Sequence[str]:
        return [str(n) for n in self._file.schema_arrow.names]

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
        schema = pa.schema([self._file.schema_arrow.field(name)])
        return type_of_form(ak.from_arrow_schema(schema).content(name))

    def size_of(self, name: str) -> int | None:
        meta = self._meta
        groups = (meta.row_group(i) for i in range(meta.num_row_groups))
        return sum(
            int(group.column(i).total_uncompressed_size)
            for group in groups
            for i in range(group.num_columns)
            if group.column(i).path_in_schema.partition(".")[0] == name
        )

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
                columns[name] = column_of(name, table.column(name), memory)
            except ValueError as error:
                raise unusable(self.identity.path, name, start, stop, error) from error
        return without_offsets(columns, contents)

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
            meta.column(i).total_compressed_size
            for i in range(meta.num_columns)
            if meta.column(i).path_in_schema.partition(".")[0] == column
        )
