import os
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from offload.interlink import LogOptions
from offload.plugins import log_files
from offload.plugins.log_files import LogIndex, limited, log_file

CONTENT = b"one\ntwo\nthree\n"
NOW = 1000.0


@pytest.fixture
def log(tmp_path):
    (tmp_path / "main.log").write_bytes(CONTENT)
    (tmp_path / "main.index").write_text("4 100.0\n8 200.0\n14 300.0\n")
    return log_file(tmp_path, "main")


def part(log, **options):
    start = log.start(LogOptions(**options), NOW)
    return b"".join(log.read(start, log.size()))


@pytest.mark.parametrize(
    ("lines", "expected"),
    [(0, CONTENT), (1, b"three\n"), (2, b"two\nthree\n"), (3, CONTENT), (9, CONTENT)],
)
def test_tail(log, lines, expected):
    assert part(log, tail=lines) == expected


def test_an_unfinished_line_counts(log):
    log.path.write_bytes(b"one\ntwo")
    assert part(log, tail=1) == b"two"
    assert part(log, tail=2) == b"one\ntwo"


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(1000, CONTENT), (850, b"two\nthree\n"), (750, b"three\n"), (700, b"three\n")],
)
def test_since(log, seconds, expected):
    assert part(log, since_seconds=seconds) == expected
    moment = datetime.fromtimestamp(NOW - seconds, UTC)
    assert part(log, since_time=moment) == expected


def test_since_is_at_the_start_of_a_line(log, tmp_path):
    (tmp_path / "main.index").write_text("6 100.0\n14 300.0\n")
    assert part(log, since_seconds=750) == b"three\n"


def test_nothing_is_newer_than_the_last_word(log, tmp_path):
    assert part(log, since_seconds=1) == b""


def test_tail_of_what_is_new(log):
    assert part(log, since_seconds=850, tail=1) == b"three\n"
    assert part(log, since_seconds=850, tail=9) == b"two\nthree\n"


def test_times(log):
    blocks = log.with_times(log.read(0, 14), 0, NOW)
    assert b"".join(blocks) == (
        b"1970-01-01T00:01:40.000000Z one\n"
        b"1970-01-01T00:03:20.000000Z two\n"
        b"1970-01-01T00:05:00.000000Z three\n"
    )


def test_times_from_the_middle_of_a_line(log):
    blocks = log.with_times(log.read(1, 8), 1, NOW)
    assert b"".join(blocks) == b"ne\n1970-01-01T00:03:20.000000Z two\n"


def test_a_carriage_return_ends_no_line(log):
    log.path.write_bytes(b"10%\r20%\r\n")
    assert b"".join(log.with_times(log.read(0, 9), 0, NOW)).count(b"Z ") == 1


def test_a_log_that_is_not_there_yet(tmp_path):
    log = log_file(tmp_path, "main")
    assert part(log, tail=3) == b""
    assert part(log, since_seconds=3) == b""


def test_the_run_before(tmp_path):
    log = log_file(tmp_path, "main", is_previous=True)
    assert log.path.name == "main.previous.log"


def test_a_damaged_index_is_read_as_far_as_it_goes(tmp_path):
    path = tmp_path / "i"
    path.write_text("4 100.0\nx y\n8\n9 nan?\n10 200.5\n1")
    assert LogIndex.read(path) == LogIndex((4, 10), (100.0, 200.5))


@given(st.binary(max_size=400), st.integers(1, 12), st.integers(1, 50))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_tail_is_the_last_lines_whatever_the_block(tmp_path, content, lines, block):
    log = log_file(tmp_path, "any")
    log.path.write_bytes(content)
    kept, log_files.BLOCK = log_files.BLOCK, block
    try:
        got = part(log, tail=lines)
    finally:
        log_files.BLOCK = kept
    whole = content.split(b"\n")
    if whole[-1] == b"":
        whole.pop()
    expected = b"\n".join(whole[-lines:]) + (b"\n" if content.endswith(b"\n") else b"")
    assert got == (expected if content else b"")


@pytest.mark.parametrize(
    ("most", "expected"), [(0, b"abcdef"), (4, b"abcd"), (9, b"abcdef")]
)
def test_limited(most, expected):
    assert b"".join(limited(iter([b"abc", b"def"]), most)) == expected


def test_what_a_job_put_in_the_place_of_its_log_is_not_read(log, tmp_path):
    """Neither a link to what is none of it, nor a pipe that would stop the plugin."""
    (tmp_path / "key").write_bytes(b"secret\n")
    for path in (log.path, tmp_path / "main.index"):
        path.unlink()
        path.symlink_to(tmp_path / "key")
    assert part(log) == part(log, tail=1) == b""
    for path in (log.path, tmp_path / "main.index"):
        path.unlink()
        os.mkfifo(path)
    assert part(log) == part(log, tail=1) == part(log, since_seconds=9) == b""
    assert b"".join(log.with_times(iter([b"x\n"]), 0, NOW)).endswith(b" x\n")
