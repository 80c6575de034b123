"""Sizes and durations: what is understood, what is refused, what is exact."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facility.spec.units import (
    format_bytes,
    parse_bytes,
    parse_seconds,
    write_bytes,
    write_seconds,
)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("2 GiB", 2 * 2**30),
        ("2GiB", 2 * 2**30),
        ("2 gib", 2 * 2**30),
        ("2G", 2 * 2**30),
        ("2 GB", 2 * 10**9),
        ("1.5 MiB", 3 * 2**19),
        (" 17 B ", 17),
        ("17", 17),
        (17, 17),
        (2e9, 2_000_000_000),
        (0, 0),
        ("1152921504606846975", 2**60 - 1),
    ],
)
def test_sizes(text: object, count: int) -> None:
    assert parse_bytes(text) == count


@pytest.mark.parametrize(
    ("text", "duration_s"),
    [
        ("30 min", 1800.0),
        ("30m", 1800.0),
        ("8 hours", 28800.0),
        ("1 day", 86400.0),
        ("0.5 s", 0.5),
        (90, 90.0),
        (1.25, 1.25),
    ],
)
def test_durations(text: object, duration_s: float) -> None:
    assert parse_seconds(text) == duration_s


@pytest.mark.parametrize(
    "value",
    [
        "", "GiB", "-1 GiB", "2 GiBs", "2 GiB 3", "1e3", "0x10", "two", "١ GiB x",
        True, False, None, [], {}, -1, -0.5, math.nan, math.inf, -math.inf,
        10**400, "9" * 31, "9" * 30 + " TiB", "2 min\n3",
    ],
)  # fmt: skip
def test_what_is_no_size_is_refused_in_a_short_line(value: object) -> None:
    with pytest.raises(
        ValueError, match=r"^expected a size such as '2 GiB', got "
    ) as e:
        parse_bytes(value)
    assert len(str(e.value)) < 90
    assert "\n" not in str(e.value)


@pytest.mark.parametrize("value", [True, "soon", -1, math.nan, "2 GiB", 1e12])
def test_what_is_no_duration_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="expected a duration such as '30 min'"):
        parse_seconds(value)


@given(st.integers(0, 2**60))
def test_a_size_is_written_exactly(count: int) -> None:
    assert parse_bytes(write_bytes(count)) == count


@given(st.floats(0, 1e9).map(parse_seconds) | st.integers(0, 10**9).map(float))
def test_a_duration_is_written_exactly(duration_s: float) -> None:
    assert parse_seconds(write_seconds(duration_s)) == duration_s


@pytest.mark.parametrize(
    ("duration_s", "text"),
    [
        (0.0, "0 s"),
        (90.0, "90 s"),
        (1800.0, "30 min"),
        (86400.0, "1 d"),
        (0.5, "0.5 s"),
    ],
)
def test_a_duration_is_written_as_people_do(duration_s: float, text: str) -> None:
    assert write_seconds(duration_s) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1536, "1.5 KiB"),
        (2**31, "2 GiB"),
        (2**41, "2 TiB"),
    ],
)
def test_a_size_is_shown_shortly(count: int, text: str) -> None:
    assert format_bytes(count) == text
