"""A remote file as Python's own kind of file, for who reads through one."""

from __future__ import annotations

import io

from facility.columnar.remote.files import RemoteFile


class RemoteReader(io.RawIOBase):
    """Seekable, read-only; each read is one request."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._remote = RemoteFile(url)
        self._size = self._remote.info().size_bytes
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}
        self._position = max(0, origin[whence] + offset)
        return self._position

    def read(self, size: int = -1) -> bytes:
        stop = self._size if size < 0 else min(self._size, self._position + size)
        data = bytes(self._remote.read([(self._position, stop)])[0])
        self._position += len(data)
        return data
