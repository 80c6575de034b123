"""Pages of an RNTuple to columns: every encoding, codec and range."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from facility.columnar.baskets.positions import Layout
from facility.columnar.buffers import Buffers, Unshared
from facility.columnar.errors import ReadError

CODECS = ("", "zstd", "lz4", "zlib", "lzma")
ENCODED = {
    Layout.PLAIN: ("?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"),
    Layout.SPLIT: ("u2", "u4", "u8", "f4", "f8"),
    Layout.ZIGZAG: ("i2", "i4", "i8"),
    Layout.DELTA: ("i4", "i8"),
    Layout.BITS: ("?",),
}
RNG = np.random.default_rng(8)
ROOT_LAYOUTS = (Layout.SPLIT, Layout.DELTA)


def numbers(size: int, dtype: str) -> np.ndarray:
    """Of both signs, and from all bytes."""
    if dtype == "?":
        return RNG.integers(0, 2, size).astype("?")
    if dtype[0] == "f":
        return RNG.normal(0, 1e6, size).astype(dtype)
    limits = np.iinfo(dtype)
    return RNG.integers(limits.min, limits.max, size, dtype, endpoint=True)


@pytest.mark.parametrize(
    ("layout", "dtype"),
    [(k, dtype) for k, dtypes in ENCODED.items() for dtype in dtypes],
)
def test_every_encoding(made, reader_of, layout, dtype):
    values = numbers(3000, dtype)
    made.pages("x", values, [1000, 1003], "zstd", layout)
    reader = reader_of(made)
    for start, stop in ((0, 3000), (7, 1002), (1001, 2999), (5, 5)):
        found = reader.columns(made.branches, ["x"], start, stop, Unshared())["x"]
        assert found.content.dtype == dtype
        assert found.content.tobytes() == values[start:stop].tobytes()


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("layout", [Layout.PLAIN, Layout.SPLIT])
@pytest.mark.parametrize("block", [1 << 23, 1000])
def test_every_codec(made, reader_of, codec, layout, block):
    values = RNG.integers(0, 100, 5000).astype("f4")  # which become smaller
    made.pages("x", values, [2000], codec, layout, block)
    for start, stop in ((0, 5000), (100, 1500), (1999, 2001)):
        reader = reader_of(made)
        found = reader.columns(made.branches, ["x"], start, stop, Unshared())["x"]
        assert found.content.tobytes() == values[start:stop].tobytes()


@st.composite
def made_up_lists(draw):
    counts = draw(st.lists(st.integers(0, 4), min_size=1, max_size=40))
    events, total = len(counts), sum(counts)
    clusters = sorted(draw(st.lists(st.integers(0, events), max_size=4)))
    cuts = sorted(draw(st.lists(st.integers(0, total), max_size=4)))
    start = draw(st.integers(0, events))
    stop = draw(st.integers(start, events))
    layouts = draw(st.sampled_from([(Layout.PLAIN, Layout.PLAIN), ROOT_LAYOUTS]))
    codec = draw(st.sampled_from(CODECS))
    return counts, clusters, cuts, (start, stop), layouts, codec


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(made_up=made_up_lists())
def test_any_cut_into_clusters_is_the_same_column(made, reader_of, made_up):
    counts, clusters, cuts, (start, stop), layouts, codec = made_up
    ends = np.cumsum([0, *counts])
    content = np.arange(ends[-1], dtype="f4")
    made.paged_lists("y", content, counts, clusters, codec, layouts, cuts)
    reader = reader_of(made)
    expected = content[ends[start] : ends[stop]].tolist()
    column = reader.columns(made.branches, ["y"], start, stop, Buffers())["y"]
    assert column.content.tolist() == expected
    offsets = (ends[start : stop + 1] - ends[start]).tolist()
    assert column.offsets.tolist() == offsets
    alone = reader.columns(made.branches, ["y"], start, stop, Buffers(), ["y"])["y"]
    assert alone.content.tolist() == expected
    assert alone.offsets is None


def test_contents_of_whole_clusters_need_no_ends(made, reader_of):
    counts, content = [1, 2, 0, 3], np.arange(6, dtype="f4")
    made.paged_lists("y", content, counts, [2], "", ROOT_LAYOUTS, [3])
    reader = reader_of(made)
    column = reader.columns(made.branches, ["y"], 2, 4, Unshared(), ["y"])["y"]
    assert column.content.tolist() == [3, 4, 5]
    assert reader.source.bytes_read == made.branches["y"].content.sizes[1]


def test_lists_that_end_on_the_same_pages_share_their_offsets(made, reader_of):
    counts, content = [1, 2, 0, 3], np.arange(6, dtype="f4")
    for name, sign in (("y", 1), ("z", -1)):
        made.paged_lists(name, sign * content, counts, [2], "", ROOT_LAYOUTS, [3])
    made.branches["z"] = replace(made.branches["z"], ends=made.branches["y"].ends)
    columns = reader_of(made).columns(made.branches, ["z", "y"], 1, 4, Unshared())
    assert columns["y"].offsets is columns["z"].offsets
    assert columns["y"].offsets.tolist() == [0, 2, 2, 5]
    assert columns["z"].content.tolist() == [-1, -2, -3, -4, -5]


def test_pages_of_a_server_are_fetched_twice_at_most(made, reader_of):
    """Where the lists end, of all columns; then their numbers."""

    class Fetched:
        name, descriptor = "somewhere", -1

        def __init__(self):
            self.size_bytes, self.bytes_read = len(made.data), 0
            self.asked = []

        def fetch(self, ranges):
            self.asked.append(len(ranges))
            self.held = [np.array(made.data[a:b], np.uint8) for a, b in ranges]
            starts = (a for a, _ in ranges)
            return {a: h.ctypes.data for a, h in zip(starts, self.held, strict=True)}

    counts = RNG.integers(0, 5, 300)
    content = numbers(int(counts.sum()), "f4")
    for name in ("y", "z"):
        made.paged_lists(name, content, counts, [100], "zstd", ROOT_LAYOUTS, [50])
    here = reader_of(made)
    there = type(here)(Fetched())
    for contents in ([], ["y", "z"]):
        names = ["y", "z"]
        mine = here.columns(made.branches, names, 0, 300, Unshared(), contents)
        theirs = there.columns(made.branches, names, 0, 300, Unshared(), contents)
        for name in names:
            assert mine[name].content.tolist() == theirs[name].content.tolist()
    assert [n for n in there.source.asked if n] == [4, 4, 4]


@pytest.mark.parametrize(
    ("codec", "at", "message"),
    [
        ("zstd", 0, "unknown compression method"),
        ("zstd", 5, "its compressed blocks declare"),
        ("lz4", 30, "its checksum does not agree"),
        ("zlib", 30, "cannot be decompressed"),
    ],
)
def test_a_damaged_page_is_named(made, reader_of, codec, at, message):
    values = RNG.integers(0, 100, 2000).astype("f4")
    made.pages("x", values, [500, 1500], codec, Layout.SPLIT)
    made.data[int(made.branches["x"].seeks[1]) + at] ^= 0x55
    with pytest.raises(ReadError, match=message) as caught:
        reader_of(made).columns(made.branches, ["x"], 0, 2000, Unshared())
    assert "branch 'x', page 1 (entries 500..1500): " in str(caught.value)


def test_lists_that_do_not_end_where_their_cluster_ends_are_an_error(made, reader_of):
    made.paged_lists("y", np.arange(6.0), [1, 2, 0, 3], [2], "", ROOT_LAYOUTS, [])
    made.data[int(made.branches["y"].ends.seeks[0]) + 1] ^= 1  # of the second list
    with pytest.raises(ReadError, match=r"'y', entries 0\.\.4: lists do not end one"):
        reader_of(made).columns(made.branches, ["y"], 0, 4, Unshared())


def test_numbers_are_named_by_their_events(made, reader_of):
    made.paged_lists("y", np.zeros(600), [300, 300], [1], "zstd", ROOT_LAYOUTS, [])
    made.data[int(made.branches["y"].content.seeks[0])] ^= 1
    expected = r"page 0 \(numbers 0\.\.600, for entries 1\.\.2\)"
    with pytest.raises(ReadError, match=expected):
        reader_of(made).columns(made.branches, ["y"], 1, 2, Unshared())
