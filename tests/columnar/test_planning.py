"""Chunks: every entry once, in order, at cluster boundaries where there are any."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facility.columnar.formats.base import FileIdentity
from facility.columnar.planning import (
    PlannedFile,
    chunk_size,
    evenly,
    plan,
    require_size,
)
from facility.errors import UsageError


def planned(entries, boundaries=(), name="f"):
    edges = tuple(sorted({0, entries, *boundaries}))
    return PlannedFile(FileIdentity(name, "", 0, 0), "Events", entries, edges)


@st.composite
def planned_files(draw):
    files = []
    for i in range(draw(st.integers(1, 4))):
        entries = draw(st.integers(0, 3000))
        inner = draw(st.lists(st.integers(0, entries), max_size=20))
        files.append(planned(entries, inner, name=f"f{i}"))
    return files


@given(planned_files(), st.integers(1, 1500))
def test_every_entry_is_in_one_chunk_in_order(files, size):
    chunks = plan(files, size)
    assert [c.index for c in chunks] == list(range(len(chunks)))
    covered = [(c.file.path, e) for c in chunks for e in range(c.start, c.stop)]
    assert covered == [(f.identity.path, e) for f in files for e in range(f.entries)]
    assert all(0 < c.events <= 1.5 * size for c in chunks)


@given(planned_files(), st.integers(2, 1500))
def test_a_chunk_ends_at_a_boundary_if_there_is_one_in_reach(files, size):
    boundaries = {f.identity.path: f.boundaries for f in files}
    for chunk in plan(files, size):
        edges = boundaries[chunk.file.path]
        reachable = range(chunk.start + size // 2, chunk.start + size + size // 2 + 1)
        if any(edge in reachable for edge in edges):
            assert chunk.stop in edges


@pytest.mark.parametrize(
    ("entries", "boundaries", "size", "stops"),
    [
        (0, (), 10, []),
        (10, (), 10, [10]),
        (25, (), 10, [10, 25]),  # 15 is 1.5 times the size: no crumb is left
        (26, (), 10, [10, 20, 26]),
        (40, (13, 27), 10, [13, 27, 40]),  # the nearest boundary, above or below
        (30, (8, 11, 19), 10, [11, 19, 30]),
        (80, range(0, 80, 10), 27, [30, 50, 80]),  # equal, as clusters allow
        (100, (1, 2, 3), 50, [50, 100]),  # tiny clusters at the start: no tiny chunks
    ],
)
def test_stops(entries, boundaries, size, stops):
    assert [c.stop for c in plan([planned(entries, boundaries)], size)] == stops


def test_a_size_below_one_raises():
    with pytest.raises(ValueError, match="at least 1, got 0"):
        plan([planned(5)], 0)


@pytest.mark.parametrize(
    ("size", "entries", "even"),
    [(800, 4000, 667), (500, 500, 500), (500, 501, 251), (500, 4000, 500), (9, 0, 9)],
)
def test_two_cores_have_the_same_to_do(size, entries, even):
    assert evenly(size, entries) == even
    assert even <= size


def test_each_file_has_a_size_of_its_own():
    chunks = plan([planned(20, name="a"), planned(20, name="b")], [10, 20])
    assert [(c.file.path, c.stop) for c in chunks] == [("a", 10), ("a", 20), ("b", 20)]


@pytest.mark.parametrize(
    ("events", "memory", "per_event", "size"),
    [
        (500, 10**9, 100, 500),
        (500, 15_000, 100, 100),  # chunks may be 1.5 times as large
        (500, 10, 100, 1),
        (500, 10, 0, 500),
        (None, 10**9, 100, 500_000),
        (None, 10**9, 0, 500_000),
        (None, 10**9, 4, 1_000_000),
        (None, 10**9, 20, 16 * 2**20 // 20),
        (None, 1_500, 4, 250),
    ],
)
def test_chunks_fit_into_memory(events, memory, per_event, size):
    assert chunk_size(events, memory, per_event) == size


@pytest.mark.parametrize(("events", "memory"), [(0, 10), (10, 0)])
def test_no_events_or_no_memory_raises(events, memory):
    with pytest.raises(ValueError, match="at least 1, got 0"):
        chunk_size(events, memory, 1)


@pytest.mark.parametrize("given", [500_000, 5e5, np.int32(500_000)])
def test_sizes_may_be_written_as_physicists_do(given):
    assert require_size("chunk_events", given) == 500_000


@pytest.mark.parametrize("given", [0, -1, 1.5, "many", "7", True, None, math.inf])
def test_what_is_no_size_is_one_clear_line(given):
    with pytest.raises(UsageError, match="chunk_events=.*: expected a whole number"):
        require_size("chunk_events", given)
