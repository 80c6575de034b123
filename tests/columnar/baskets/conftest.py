"""Baskets made by hand, as ROOT writes them, and a file of nothing else."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
import uproot
import xxhash

from facility.columnar.baskets.positions import Baskets, Layout, Lists
from facility.columnar.baskets.reading import BasketReader
from facility.columnar.baskets.sources import LocalSource
from facility.columnar.columns import ColumnType

CODECS = {
    "zstd": (b"ZS\x01", uproot.ZSTD(3)),
    "lz4": (b"L4\x01", uproot.LZ4(4)),
    "zlib": (b"ZL\x08", uproot.ZLIB(3)),
    "lzma": (b"XZ\x00", uproot.LZMA(1)),
}


def packed(codec: str, data: bytes, block: int) -> bytes:
    """Blocks of at most so many bytes, each with ROOT's header."""
    method, compression = CODECS[codec]
    blocks = []
    for start in range(0, len(data), block):
        piece = data[start : start + block]
        body = compression.compress(piece)
        if codec == "lz4":
            body = struct.pack(">Q", xxhash.xxh64(body).intdigest()) + body
        sizes = len(body).to_bytes(3, "little") + len(piece).to_bytes(3, "little")
        blocks.append(method + sizes + body)
    return b"".join(blocks)


def basket(
    content: bytes, entries: int, codec: str, behind: bytes = b"", block: int = 1 << 23
) -> bytes:
    names = b"\x07TBasket\x01x\x01t"
    length = 18 + 8 + len(names) + 19
    data = content + behind
    body = packed(codec, data, block) if codec else data
    if len(body) >= len(data):
        body = data  # as ROOT does: equal lengths say that nothing is compressed
    key = struct.pack(">ihiIhh", length + len(body), 4, len(data), 0, length, 1)
    own = struct.pack(">HiiiiB", 3, 32000, 1000, entries, length + len(content), 0)
    return key + bytes(8) + names + own + body


@dataclass
class MadeFile:
    """A file of baskets, and where they are."""

    data: bytearray = field(default_factory=lambda: bytearray(b"root" * 25))
    branches: dict[str, Baskets] = field(default_factory=dict)

    def add(
        self,
        name: str,
        plain: ColumnType,
        layout: Layout,
        baskets: Sequence[tuple[int, bytes]],
    ) -> None:
        """Append baskets: so many entries, and the bytes of each."""
        seeks, sizes, entries = [], [], [0]
        for number, one in baskets:
            seeks.append(len(self.data))
            sizes.append(len(one))
            entries.append(entries[-1] + number)
            self.data += one
        positions = (np.array(p, np.int64) for p in (seeks, sizes, entries))
        self.branches[name] = Baskets(plain, layout, *positions)

    def flat(self, name, values, cuts, codec, block=1 << 23):
        values = np.asarray(values)
        parts = [
            (len(v), basket(big_endian(v), len(v), codec, block=block))
            for v in np.split(values, cuts)
        ]
        self.add(name, ColumnType(values.dtype, is_jagged=False), Layout.FLAT, parts)

    def lists(self, name, counts_name, content, counts, cuts, codec, block=1 << 23):
        content = np.asarray(content)
        ends = np.cumsum([0, *counts])
        bounds = [0, *cuts, len(counts)]
        parts = []
        for first, last in itertools.pairwise(bounds):
            values = content[ends[first] : ends[last]]
            offsets = np.arange(last - first + 2).astype(">i4").tobytes()
            one = basket(big_endian(values), last - first, codec, offsets, block)
            parts.append((last - first, one))
        plain = ColumnType(content.dtype, is_jagged=True, counts=counts_name)
        self.add(name, plain, Layout.COUNTED, parts)

    def vectors(self, name, lists, cuts, codec, dtype, block=1 << 23):
        bounds = [0, *cuts, len(lists)]
        parts = []
        for first, last in itertools.pairwise(bounds):
            content = b""
            for one in lists[first:last]:
                values = big_endian(np.asarray(one, dtype))
                counted = 0x40000000 | (6 + len(values))
                content += struct.pack(">IHI", counted, 9, len(one)) + values
            offsets = np.arange(last - first + 2).astype(">i4").tobytes()
            packed = basket(content, last - first, codec, offsets, block)
            parts.append((last - first, packed))
        plain = ColumnType(np.dtype(dtype), is_jagged=True)
        self.add(name, plain, Layout.VECTOR, parts)

    def pages(self, name, values, cuts, codec, layout, block=1 << 23):
        values = np.asarray(values)
        baskets = self._paged(values, cuts, codec, layout, block)
        self.branches[name] = baskets

    def paged_lists(self, name, content, counts, clusters, codec, layouts, cuts):
        """Clusters begin at events; pages of contents are cut, of ends are clusters."""
        content, ends = np.asarray(content), np.cumsum([0, *counts])
        events = np.array([0, *clusters, len(counts)], np.int64)
        numbers = ends[events].astype(np.int64)
        inside = np.concatenate(
            [ends[a + 1 : b + 1] - ends[a] for a, b in itertools.pairwise(events)]
        ).astype("i8")
        self.branches[name] = Lists(
            self._paged(content, cuts, codec, layouts[0], is_jagged=True),
            self._paged(inside, clusters, codec, layouts[1]),
            events,
            numbers,
        )

    def _paged(self, values, cuts, codec, layout, block=1 << 23, *, is_jagged=False):
        seeks, sizes, entries = [], [], [0]
        for part in np.split(values, cuts):
            data = page(part, layout)
            body = packed(codec, data, block) if codec else data
            body = body if len(body) < len(data) else data
            if not body:
                continue
            seeks.append(len(self.data))
            sizes.append(len(body))
            entries.append(entries[-1] + len(part))
            self.data += body
        positions = (np.array(p, np.int64) for p in (seeks, sizes, entries))
        plain = ColumnType(values.dtype, is_jagged=is_jagged)
        return Baskets(plain, layout, *positions)


def page(values: np.ndarray, layout: Layout) -> bytes:
    """What an RNTuple has of these values, before compression."""
    if layout is Layout.BITS:
        return np.packbits(values, bitorder="little").tobytes()
    if layout is Layout.DELTA:
        values = np.diff(values, prepend=values.dtype.type(0))
    if layout is Layout.ZIGZAG:
        bits = 8 * values.itemsize - 1
        values = (values << 1) ^ (values >> bits)
    data = values.astype(values.dtype.newbyteorder("<")).view(np.uint8)
    if layout is Layout.PLAIN:
        return data.tobytes()
    return data.reshape(-1, values.itemsize).T.tobytes()


def big_endian(values: np.ndarray) -> bytes:
    return values.astype(values.dtype.newbyteorder(">")).tobytes()


@pytest.fixture
def made() -> MadeFile:
    return MadeFile()


@pytest.fixture
def reader_of(tmp_path):
    """Make a reader of a file that was made."""

    def reader(made: MadeFile) -> BasketReader:
        path = tmp_path / "made.root"
        path.write_bytes(made.data)
        return BasketReader(LocalSource(path))

    return reader
