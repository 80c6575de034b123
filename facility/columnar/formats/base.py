"""What every file format offers to the planner and to the reader."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import awkward as ak

from facility.columnar.buffers import Buffers
from facility.columnar.columns import Column, ColumnType
from facility.columnar.remote import Location, RemoteFile, is_remote


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """Which file was read. Two runs with equal identities read the same bytes."""

    path: str
    uuid: str
    """The file's own UUID (ROOT), or empty."""
    size_bytes: int
    modified_ns: int
    """Modification time, nanoseconds since 1970; 0 if a server does not say."""
    etag: str = ""
    """What an HTTP server calls this version of the file."""

    @property
    def location(self) -> Location:
        """Where it is: a path here, or a URL."""
        return self.path if is_remote(self.path) else Path(self.path)

    @classmethod
    def of(cls, path: Location, uuid: str = "") -> FileIdentity:
        """Look at the file system, or ask the server.

        Raises:
            OSError: there is no such file here, or it may not be looked at.
            DatasetError: the same of a remote file.
        """
        if isinstance(path, str):
            remote = RemoteFile(path)
            found = remote.info()
            size, modified = found.size_bytes, found.modified_ns
            return cls(remote.url, uuid, size, modified, found.etag)
        stat = path.stat()
        return cls(str(path), uuid, stat.st_size, stat.st_mtime_ns)


class ColumnFile(Protocol):
    """An open file: only metadata is in memory until ``read``."""

    @property
    def identity(self) -> FileIdentity: ...

    @property
    def tree(self) -> str:
        """Name of the TTree or RNTuple; empty for Parquet."""

    @property
    def entries(self) -> int: ...

    @property
    def columns(self) -> Sequence[str]: ...

    @property
    def bytes_read(self) -> int:
        """Compressed bytes read so far, metadata included."""

    def close(self) -> None:
        """Give the file back; nothing can be read any more."""

    def boundaries(self) -> list[int]:
        """Return the entries at which clusters begin, from 0 to ``entries``."""

    def read(self, column: str, start: int, stop: int) -> ak.Array:
        """Return entries ``start`` to ``stop`` of one column; nothing is kept."""

    def read_together(
        self, columns: Sequence[str], start: int, stop: int
    ) -> dict[str, ak.Array]:
        """Do :meth:`read` for several columns.

        In less time, where one branch counts their lists: that is read once.
        """

    def type_of(self, name: str) -> ColumnType | None:
        """Return what kind of plain column it is, from metadata; none if not plain.

        Plain are numbers, truth values, and one list of them per event. Strings,
        fixed-size arrays, lists of lists and records are not.
        """

    def size_of(self, name: str) -> int | None:
        """Return the uncompressed bytes of a whole column, from metadata.

        None if the format does not say.
        """

    def plain(
        self,
        names: Sequence[str],
        start: int,
        stop: int,
        buffers: Buffers | None = None,
        contents: Sequence[str] = (),
    ) -> dict[str, Column]:
        """Return entries ``start`` to ``stop`` of plain columns, reading only those.

        Jagged columns of one count branch share one offsets array. With ``buffers``
        the numbers are in their memory, valid until the next call with them.

        The jagged ones in ``contents`` (names) come as their numbers alone, without
        offsets: where chunks begin and end with baskets, what counts them is not read.

        Raises:
            ChunkError: the bytes are damaged, or values are missing; it names file,
                column and entries.
        """
