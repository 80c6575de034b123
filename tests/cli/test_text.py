import time

import pytest

from facility.text import counted, moment, reason, shown


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("exit code 1:\n\tno é", "exit code 1:\n\tno é"),
        ("\x1b]0;x\x07\x1b[2J", r"\x1b]0;x\x07\x1b[2J"),
        ("\x9b31m\r\u202e", r"\x9b31m\r\u202e"),
        ("\udcff", r"\udcff"),
    ],
)
def test_what_a_site_says_commands_no_terminal(said, expected):
    assert shown(said) == expected


def test_numbers_have_their_noun():
    assert [counted(n, "file") for n in (0, 1, 2000)] == [
        "0 files",
        "1 file",
        "2,000 files",
    ]
    assert counted(2, "process", "processes") == "2 processes"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ConnectionRefusedError(111, "Connection refused"), "Connection refused"),
        (ValueError("two\n lines"), "two lines"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_a_reason_is_one_line_without_the_systems_number(error, expected):
    assert reason(error) == expected


def test_a_moment_is_told_as_it_is_here_with_the_zone(monkeypatch):
    monkeypatch.setenv("TZ", "CET-1")
    time.tzset()
    try:
        assert moment(86_400.0, 90_000.0) == "01:00:00 CET"
        assert moment(86_400.0, 200_000.0) == "1970-01-02 01:00 CET"
    finally:
        monkeypatch.undo()
        time.tzset()
