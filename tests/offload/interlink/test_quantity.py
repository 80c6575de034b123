from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offload.interlink.quantity import parse_quantity, whole


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0), ("1", 1), ("0.5", Fraction(1, 2)), (".5", Fraction(1, 2)),
        ("500m", Fraction(1, 2)), ("2Gi", 2 * 2**30), ("2G", 2 * 10**9),
        ("1.5Ki", 1536), ("1e3", 1000), ("1E3", 1000), ("1E", 10**18), ("5k", 5000),
        ("-1", -1), ("1Ei", 2**60), ("3u", Fraction(3, 10**6)), ("12e-1", Fraction(6, 5)),
    ],
)  # fmt: skip
def test_value(text, expected):
    assert parse_quantity(text) == expected


@pytest.mark.parametrize(
    "text", ["", "x", "1 G", "1KB", "--1", "1ki", "1e", "0x1", "1Gib"]
)
def test_no_quantity(text):
    with pytest.raises(ValueError, match="expected a quantity such as 500m or 2Gi"):
        parse_quantity(text)


def test_whole_rounds_up_and_refuses_less_than_nothing():
    assert whole("1500m") == 2
    with pytest.raises(ValueError, match="not negative"):
        whole("-1")


@given(st.integers(0, 10**12), st.sampled_from(["", "m", "Ki", "G"]))
def test_a_number_with_its_suffix_is_exact(number, suffix):
    factor = {"": 1, "m": Fraction(1, 1000), "Ki": 1024, "G": 10**9}[suffix]
    assert parse_quantity(f"{number}{suffix}") == number * factor
