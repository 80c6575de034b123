"""Remote bytes for uproot, by :class:`RemoteFile`."""

from __future__ import annotations

import queue
from collections import OrderedDict
from typing import Any

from uproot.source.chunk import Chunk, Source
from uproot.source.futures import TrivialFuture

from facility.columnar.remote.files import RemoteFile

BLOCK_BYTES = 262_144
"""Metadata are asked for in many small pieces close together: a block serves them."""

BLOCKS = 32
"""So many are kept: 8 MiB."""


class RemoteSource(Source):
    """What ``uproot.open(url, handler=RemoteSource)`` reads from."""

    def __init__(self, file_path: str, **_: Any) -> None:
        super().__init__()
        self._file_path = file_path
        self._remote = RemoteFile(file_path)
        self._size = self._remote.info().size_bytes
        self._blocks: OrderedDict[int, memoryview] = OrderedDict()
        self._is_closed = False

    def __repr__(self) -> str:
        return f"<RemoteSource of {self._file_path}>"

    def __exit__(self, *_: object) -> None:
        self._is_closed = True
        self._blocks.clear()

    @property
    def num_requested_bytes(self) -> int:
        return self._remote.bytes_read

    @property
    def num_bytes(self) -> int:
        return self._size

    @property
    def closed(self) -> bool:
        return self._is_closed

    def chunk(self, start: int, stop: int) -> Chunk:
        first, last = start // BLOCK_BYTES, (stop - 1) // BLOCK_BYTES
        if last - first > 1 or stop > self._size:
            return self._filled(start, stop, self._remote.read([(start, stop)])[0])
        pieces = b"".join(self._block(i) for i in range(first, last + 1))
        offset = first * BLOCK_BYTES
        return self._filled(start, stop, pieces[start - offset : stop - offset])

    def chunks(
        self, ranges: list[tuple[int, int]], notifications: queue.Queue[Chunk]
    ) -> list[Chunk]:
        found = self._remote.read(ranges)
        chunks = [
            self._filled(start, stop, data)
            for (start, stop), data in zip(ranges, found, strict=True)
        ]
        for chunk in chunks:
            notifications.put(chunk)
        return chunks

    def _block(self, index: int) -> memoryview:
        if index not in self._blocks:
            begin = index * BLOCK_BYTES
            end = min(begin + BLOCK_BYTES, self._size)
            self._blocks[index] = self._remote.read([(begin, end)])[0]
            while len(self._blocks) > BLOCKS:
                self._blocks.popitem(last=False)
        self._blocks.move_to_end(index)
        return self._blocks[index]

    def _filled(self, start: int, stop: int, data: Any) -> Chunk:
        return Chunk(self, start, stop, TrivialFuture(data))
