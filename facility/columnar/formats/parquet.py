"""Parquet through pyarrow; a row group is a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import awkward as ak
import pyarrow as pa
import pyarrow.parquet as pq

from facility.columnar.buffers import Buffers
from facility.columnar.columns import Column, ColumnType
from facility.columnar.errors import DatasetError, one_line
from facility.columnar.formats.arrays import plain_columns, type_of_form
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
                pq.ParquetFile(pa.PythonFile(RemoteReader(path)), pre_buffer=True)
                if isinstance(path, str)
                else pq.ParquetFile(path, memory_map=True)
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
        groups = [
            i
            for i, (first, last) in enumerate(
                zip(self._starts[:-1], self._starts[1:], strict=True)
            )
            if first < stop and last > start
        ]
        self.bytes_read += sum(self._size(i, column) for i in groups)
        table = self._file.read_row_groups(groups, columns=[column], use_threads=False)
        first = self._starts[groups[0]] if groups else start
        array = ak.from_arrow(table.column(column), highlevel=True)
        return array[start - first : stop - first]

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
        buffers: Buffers | None = None,  # noqa: ARG002 - pyarrow has memory of its own
    ) -> dict[str, Column]:
        return plain_columns(self, names, start, stop)

    def _size(self, group: int, column: str) -> int:
        meta = self._meta.row_group(group)
        return sum(
            meta.column(i).total_compressed_size
            for i in range(meta.num_columns)
            if meta.column(i).path_in_schema.partition(".")[0] == column
        )
