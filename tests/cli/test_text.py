import pytest

from facility.cli.text import shown


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
