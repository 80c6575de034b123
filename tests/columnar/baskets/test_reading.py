"""Baskets to columns: every codec, layout and range."""

import ctypes
import os
import struct
from itertools import chain, pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from facility.columnar.baskets import filling, libraries
from facility.columnar.baskets.filling import MissingLibraryError
from facility.columnar.baskets.libraries import Function
from facility.columnar.baskets.positions import Layout
from facility.columnar.baskets.reading import BasketReader
from facility.columnar.buffers import Buffers, Unshared
from facility.columnar.columns import ColumnType
from facility.columnar.errors import ReadError

CODECS = ("", "zstd", "lz4", "zlib", "lzma")
DTYPES = ("?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8")
RNG = np.random.default_rng(5)


def numbers(size: int, dtype: str = "f4") -> np.ndarray:
    return RNG.integers(0, 100, size).astype(dtype)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("block", [1 << 23, 1000])
def test_flat_and_lists_of_every_codec(made, reader_of, codec, block):
    flat, counts = numbers(5000), RNG.integers(0, 6, 5000)
    content = numbers(int(counts.sum()), "f8")
    made.flat("x", flat, [1000, 1001, 4000], codec, block)
    made.flat("n", counts.astype("i4"), [2000], codec, block)
    made.lists("y", "n", content, counts, [500, 3000], codec, block)
    reader = reader_of(made)
    ends = np.cumsum([0, *counts])
    for start, stop in ((0, 5000), (999, 1002), (600, 4500), (4999, 5000), (7, 7)):
        columns = reader.columns(made.branches, ["y", "x"], start, stop, Unshared())
        assert list(columns) == ["y", "x"]
        assert columns["x"].content.tobytes() == flat[start:stop].tobytes()
        expected = content[ends[start] : ends[stop]]
        assert columns["y"].content.tobytes() == expected.tobytes()
        assert (
            columns["y"].offsets.tolist()
            == (ends[start : stop + 1] - ends[start]).tolist()
        )


@pytest.mark.parametrize("codec", ["zstd", "lz4"])
def test_values_before_much_else(made, reader_of, codec):
    """Decompression stops behind the values, after some of ZSTD's blocks of 128 KiB."""
    counts = RNG.integers(0, 3, 200_000)
    content = RNG.integers(0, 10**6, int(counts.sum())).astype("f8")
    made.flat("n", counts.astype("u1"), [], codec)
    made.lists("y", "n", content, counts, [150_000], codec)
    reader = reader_of(made)
    ends = np.cumsum([0, *counts])
    for start, stop in ((0, 200_000), (10, 60_000), (149_000, 151_000)):
        column = reader.columns(made.branches, ["y"], start, stop, Unshared())["y"]
        assert column.content.tobytes() == content[ends[start] : ends[stop]].tobytes()


def test_a_checksum_of_zstd_is_verified_though_it_is_behind(made, reader_of):
    """ROOT writes none; who does is told of damage wherever it is."""
    zstd = ctypes.CDLL("libzstd.so.1")
    zstd.ZSTD_createCCtx.restype = ctypes.c_void_p
    context = ctypes.c_void_p(zstd.ZSTD_createCCtx())
    zstd.ZSTD_CCtx_setParameter(context, 201, 1)  # ZSTD_c_checksumFlag
    data = big_endian(numbers(100_000))
    target = ctypes.create_string_buffer(2 * len(data))
    size = zstd.ZSTD_compress2(context, target, len(target), data, len(data))
    zstd.ZSTD_freeCCtx(context)
    sizes = size.to_bytes(3, "little") + len(data).to_bytes(3, "little")
    one = basket_of(b"ZS\x01" + sizes + target.raw[:size], len(data), 100_000)
    plain = ColumnType(np.dtype("f4"), is_jagged=False)
    made.add("x", plain, Layout.FLAT, [(100_000, one)])
    column = reader_of(made).columns(made.branches, ["x"], 0, 10, Unshared())["x"]
    assert big_endian(column.content) == data[:40]
    made.data[-1] ^= 1
    with pytest.raises(ReadError, match="cannot be decompressed"):
        reader_of(made).columns(made.branches, ["x"], 0, 10, Unshared())


def basket_of(body, whole, entries):
    """One basket of flat numbers, compressed already."""
    length = 18 + 8 + 12 + 19
    key = struct.pack(">ihiIhh", length + len(body), 4, whole, 0, length, 1)
    own = struct.pack(">HiiiiB", 3, 32000, 1000, entries, length + whole, 0)
    return key + bytes(8) + b"\x07TBasket\x01x\x01t" + own + body


def big_endian(values):
    return values.astype(values.dtype.newbyteorder(">")).tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_type_of_number(made, reader_of, dtype):
    values = RNG.integers(0, 2 if dtype == "?" else 127, 777).astype(dtype)
    made.flat("x", values, [300], "zstd")
    column = reader_of(made).columns(made.branches, ["x"], 100, 700, Unshared())["x"]
    assert column.content.dtype == values.dtype
    assert column.content.dtype.isnative
    assert column.content.tolist() == values[100:700].tolist()


@pytest.mark.parametrize("dtype", [d for d in DTYPES if d[0] in "iu"])
def test_lengths_may_be_of_every_integer_type(made, reader_of, dtype):
    counts = RNG.integers(0, 5, 100)
    made.flat("n", counts.astype(dtype), [], "lz4")
    made.lists("y", "n", numbers(int(counts.sum())), counts, [40], "lz4")
    columns = reader_of(made).columns(made.branches, ["y", "n"], 50, 100, Unshared())
    assert np.diff(columns["y"].offsets).tolist() == counts[50:].tolist()
    assert columns["n"].content.tolist() == counts[50:].tolist()


@pytest.mark.parametrize("codec", CODECS)
def test_vectors_whose_number_is_not_known_before(made, reader_of, codec):
    # All alike: 100 times smaller in the file, so that memory has to grow.
    lists = [[i % 3] * (i % 50) for i in range(2000)]
    made.vectors("v", lists, [700, 1999], codec, "f4")
    reader = reader_of(made)
    for start, stop in ((0, 2000), (650, 1000), (3, 4), (5, 5)):
        column = reader.columns(made.branches, ["v"], start, stop, Unshared())["v"]
        lengths = [len(one) for one in lists[start:stop]]
        assert column.offsets.tolist() == np.cumsum([0, *lengths]).tolist()
        assert column.content.tolist() == list(chain(*lists[start:stop]))


@st.composite
def files_and_ranges(draw):
    counts = draw(st.lists(st.integers(0, 4), min_size=1, max_size=40))
    events = len(counts)
    cuts = [
        sorted(draw(st.lists(st.integers(0, events), max_size=4))) for _ in range(4)
    ]
    start = draw(st.integers(0, events))
    stop = draw(st.integers(start, events))
    return counts, cuts, (start, stop), draw(st.sampled_from(CODECS))


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(made_up=files_and_ranges())
def test_any_cut_into_baskets_is_the_same_column(made, reader_of, made_up):
    counts, cuts, (start, stop), codec = made_up
    ends = np.cumsum([0, *counts])
    content = np.arange(ends[-1], dtype="f4")
    made.flat("n", np.array(counts, "i4"), cuts[0], codec)
    made.lists("y", "n", content, counts, cuts[1], codec)
    made.lists("z", "n", -content, counts, cuts[2], codec)
    lists = [content[a:b] for a, b in pairwise(ends)]
    made.vectors("v", lists, cuts[3], codec, "f4")
    names = ["v", "z", "y", "n"]
    columns = reader_of(made).columns(made.branches, names, start, stop, Buffers())
    expected = content[ends[start] : ends[stop]].tolist()
    assert columns["y"].content.tolist() == expected
    assert columns["z"].content.tolist() == [-x for x in expected]
    assert columns["v"].content.tolist() == expected
    assert columns["y"].offsets is columns["z"].offsets
    offsets = (ends[start : stop + 1] - ends[start]).tolist()
    assert columns["y"].offsets.tolist() == columns["v"].offsets.tolist() == offsets
    assert columns["n"].content.tolist() == counts[start:stop]
    alone = reader_of(made).columns(
        made.branches, names, start, stop, Buffers(), ["y", "v"]
    )
    assert alone["y"].content.tolist() == alone["v"].content.tolist() == expected
    assert alone["y"].offsets is alone["v"].offsets is None
    assert alone["z"].offsets.tolist() == offsets


def test_only_the_baskets_of_the_range_are_read(made, reader_of):
    made.flat("x", numbers(1000), list(range(100, 1000, 100)), "")
    reader = reader_of(made)
    reader.columns(made.branches, ["x"], 250, 350, Unshared())
    assert reader.source.bytes_read == made.branches["x"].sizes[2:4].sum()


@pytest.mark.parametrize("codec", CODECS)
def test_contents_of_whole_baskets_need_no_count_branch(made, reader_of, codec):
    """However many numbers a basket turns out to have, and whoever has the memory."""
    counts = RNG.integers(0, 4, 3000)
    content = np.zeros(int(counts.sum()), "i4")  # packed, it does not tell its size
    content[::7] = 5
    made.flat("n", counts.astype("i4"), [1000, 2000], codec)
    made.lists("y", "n", content, counts, [1000, 2000], codec)
    made.lists("t", "n", content.astype("?"), counts, [1000], codec)
    ends = np.cumsum([0, *counts])
    reader, buffers = reader_of(made), Buffers()
    lists = {name: made.branches[name] for name in ("y", "t")}
    for start, stop in ((0, 3000), (1000, 3000), (0, 1000), (0, 0)):
        part = slice(ends[start], ends[stop])
        found = reader.columns(lists, ["y", "t"], start, stop, buffers, ["y", "t"])
        assert found["y"].offsets is None
        assert found["y"].content.dtype == np.int32
        assert found["y"].content.tolist() == content[part].tolist()
        assert found["t"].content.dtype == bool
        assert found["t"].content.tolist() == (content[part] != 0).tolist()


def test_contents_that_begin_inside_a_basket_are_cut_by_the_counts(made, reader_of):
    counts = [3, 0, 2, 1]
    made.flat("n", np.array(counts, "i4"), [], "zstd")
    made.lists("y", "n", np.arange(6, dtype="f4"), counts, [3], "zstd")
    found = reader_of(made).columns(made.branches, ["y"], 1, 4, Unshared(), ["y"])
    assert found["y"].content.tolist() == [3, 4, 5]
    assert found["y"].offsets is None


def test_contents_of_one_count_branch_are_equally_long(made, reader_of):
    made.flat("n", np.array([1, 2, 4], "i4"), [], "")
    made.lists("y", "n", numbers(7), [1, 2, 4], [], "zstd")
    made.lists("z", "n", numbers(6), [1, 2, 3], [], "zstd")
    reader, names = reader_of(made), ["y", "z"]
    with pytest.raises(ReadError, match="'z', basket 0 .*28 bytes of values expected"):
        reader.columns(made.branches, names, 0, 3, Unshared(), names)


def test_half_a_number_in_a_basket_is_an_error(made, reader_of):
    made.flat("n", np.array([1, 1], "i4"), [], "")
    plain = ColumnType(np.dtype("f4"), is_jagged=True, counts="n")
    made.add("y", plain, Layout.COUNTED, [(2, basket_of(bytes(7), 7, 2))])
    with pytest.raises(ReadError, match="8 bytes of values expected, it declares 7"):
        reader_of(made).columns(made.branches, ["y"], 0, 2, Unshared(), ["y"])


def test_memory_is_used_again(made, reader_of):
    made.flat("x", numbers(1000), [500], "zstd")
    reader, buffers = reader_of(made), Buffers()
    first = reader.columns(made.branches, ["x"], 0, 500, buffers)["x"]
    kept = first.content.copy()
    second = reader.columns(made.branches, ["x"], 500, 1000, buffers)["x"]
    assert np.shares_memory(first.content, second.content)
    assert first.content.tolist() != kept.tolist()


def test_fetched_bytes_give_the_same(made, reader_of):
    """What a server sends is in memory; all of a chunk is asked for at once."""

    class Fetched:
        name, descriptor = "somewhere", -1

        def __init__(self):
            self.size_bytes, self.bytes_read = len(made.data), 0
            self.asked = []

        def fetch(self, ranges):
            self.asked.append(ranges)
            self.held = [np.array(made.data[a:b], np.uint8) for a, b in ranges]
            starts = (a for a, _ in ranges)
            return {a: h.ctypes.data for a, h in zip(starts, self.held, strict=True)}

    counts = RNG.integers(0, 5, 300)
    made.flat("n", counts.astype("i4"), [100, 200], "zstd")
    made.lists("y", "n", numbers(int(counts.sum())), counts, [150], "zstd")
    source = Fetched()
    here = reader_of(made).columns(made.branches, ["y"], 20, 280, Unshared())["y"]
    there = BasketReader(source).columns(made.branches, ["y"], 20, 280, Unshared())["y"]
    assert there.content.tolist() == here.content.tolist()
    assert there.offsets.tolist() == here.offsets.tolist()
    assert [len(ranges) for ranges in source.asked] == [5]


@pytest.mark.parametrize(
    ("codec", "function"), [("zstd", 3), ("lz4", 7), ("lzma", 13), ("zlib", 12)]
)
def test_without_a_library_the_caller_is_told(
    made, reader_of, monkeypatch, codec, function
):
    without = libraries.addresses().copy()
    without[[function, Function.DEFLATE_ZLIB]] = 0
    monkeypatch.setattr(filling, "addresses", lambda: without)
    made.flat("x", numbers(5000), [], codec)
    with pytest.raises(MissingLibraryError):
        reader_of(made).columns(made.branches, ["x"], 0, 10, Unshared())


def test_zlib_does_what_libdeflate_does(made, reader_of, monkeypatch):
    without = libraries.addresses().copy()
    without[Function.DEFLATE_ZLIB] = 0
    monkeypatch.setattr(filling, "addresses", lambda: without)
    values = numbers(5000)
    made.flat("x", values, [2500], "zlib")
    column = reader_of(made).columns(made.branches, ["x"], 0, 5000, Unshared())["x"]
    assert column.content.tolist() == values.tolist()


KEY = 18 + 8 + 12 + 19  # bytes of a key in these files


@pytest.mark.parametrize(
    ("codec", "at", "message"),
    [
        ("zstd", 3, "its key is damaged"),
        ("zstd", KEY - 9 + 3, "values expected|it declares"),
        ("zstd", KEY - 6, "entries expected, it declares"),
        ("zstd", KEY + 5, "its compressed blocks declare"),
        ("zstd", KEY, "unknown compression method"),
        ("zstd", KEY + 9 + 4, "cannot be decompressed"),
        ("lz4", KEY + 30, "its checksum does not agree"),
        ("zlib", KEY + 30, "cannot be decompressed"),
        ("lzma", KEY + 60, "cannot be decompressed"),
    ],
)
def test_a_damaged_basket_is_named(made, reader_of, codec, at, message):
    made.flat("x", numbers(2000), [500, 1500], codec)
    made.data[int(made.branches["x"].seeks[1]) + at] ^= 0x55
    with pytest.raises(ReadError, match=message) as caught:
        reader_of(made).columns(made.branches, ["x"], 0, 2000, Unshared())
    said = str(caught.value)
    assert "made.root: branch 'x', basket 1 (entries 500..1500): " in said
    assert "\n" not in said


def test_lengths_that_disagree_with_a_basket_are_an_error(made, reader_of):
    made.flat("n", np.array([1, 2, 3], "i4"), [], "")
    made.lists("y", "n", numbers(7), [1, 2, 4], [], "")
    with pytest.raises(ReadError, match="'y', basket 0 .*24 bytes of values expected"):
        reader_of(made).columns(made.branches, ["y"], 0, 3, Unshared())


def test_lengths_below_zero_are_an_error(made, reader_of):
    made.flat("n", np.array([1, -2, 3], "i4"), [], "")
    made.lists("y", "n", numbers(2), [1, 0, 1], [], "")
    with pytest.raises(ReadError, match="'n', entries 0..3: lengths of -2 to 3"):
        reader_of(made).columns(made.branches, ["y"], 0, 3, Unshared())


def test_a_file_cut_while_it_is_open_is_an_error(made, reader_of, tmp_path):
    made.flat("x", numbers(2000), [1000], "zstd")
    reader = reader_of(made)
    os.truncate(tmp_path / "made.root", len(made.data) - 1)
    with pytest.raises(ReadError, match="basket 1 .*bytes expected there"):
        reader.columns(made.branches, ["x"], 0, 2000, Unshared())


def test_a_basket_beyond_the_file_is_an_error(made, reader_of):
    made.flat("x", numbers(2000), [1000], "zstd")
    del made.data[-1:]
    with pytest.raises(ReadError, match="basket 1 .*it ends at byte"):
        reader_of(made).columns(made.branches, ["x"], 0, 2000, Unshared())
