"""Open a file by what its first bytes say, and keep the few last ones open."""

from __future__ import annotations

import threading
from collections import OrderedDict

from facility.columnar.errors import ChunkError, DatasetError, ReadError
from facility.columnar.formats.base import ColumnFile, FileIdentity
from facility.columnar.remote import Location, RemoteFile, one_opening

KEPT_OPEN = 4
"""Files per thread that stay open between chunks: metadata of NanoAOD take 0.5 s."""


class _Open(threading.local):
    """Per thread: uproot's trees are not made for concurrent readers."""

    def __init__(self) -> None:
        self.files: OrderedDict[tuple[FileIdentity, str], ColumnFile] = OrderedDict()


_open = _Open()


def open_columns(path: Location, tree: str | None = None) -> ColumnFile:
    """Open a ROOT or Parquet file, here or at a URL, and read its metadata.

    Raises:
        DatasetError: it cannot be had, is neither, truncated, or has no such tree.
    """
    try:
        with one_opening():
            return _opened(path, tree)
    except ReadError as error:  # of a remote file's metadata: no chunk is to be named
        raise DatasetError(str(error)) from error.__cause__


def _opened(path: Location, tree: str | None) -> ColumnFile:
    magic = _first_bytes(path)
    match magic:
        # Late: each reader is a sixth of what importing all of this takes.
        case b"root":
            from facility.columnar.formats.root import RootColumns

            return RootColumns(path, tree)
        case b"PAR1":
            from facility.columnar.formats.parquet import ParquetColumns

            return ParquetColumns(path)
        case b"":
            raise DatasetError(f"{path} is empty: copy it again")
        case _:
            raise DatasetError(
                f"{path} begins with {magic!r}, expected a ROOT or Parquet file"
            )


def reopen(identity: FileIdentity, tree: str) -> ColumnFile:
    """Return the planned file, opened once per thread.

    Raises:
        ReadError: the file is gone.
        ChunkError: it is no longer the one that was planned.
    """
    key = (identity, tree)
    path = identity.location
    try:
        now = FileIdentity.of(path, identity.uuid)
    except (OSError, DatasetError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise ReadError(
            f"{path} was there when the run was planned, and cannot be opened now on "
            f"this worker: {why}"
        ) from error
    if now != identity:
        raise ChunkError(f"{path} changed while it was analysed: run again")
    files = _open.files
    if key not in files:
        keep(open_columns(path, tree or None))
    files.move_to_end(key)
    return files[key]


def _first_bytes(path: Location, count: int = 4) -> bytes:
    if isinstance(path, str):
        remote = RemoteFile(path)
        size = remote.info().size_bytes
        return bytes(remote.read([(0, min(count, size))])[0])
    try:
        with path.open("rb") as file:
            return file.read(count)
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}") from error


def keep(file: ColumnFile) -> None:
    """Let :func:`reopen` find this file open, in this thread."""
    files = _open.files
    files[file.identity, file.tree] = file
    while len(files) > KEPT_OPEN:
        _, oldest = files.popitem(last=False)
        oldest.close()
