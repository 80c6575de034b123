"""Whatever is in the file: a facility, or problems of one line each."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from facility.spec import Facility, Problem, SpecError, dumps, loads

DEFAULT = dumps(Facility())
TOKENS = st.sampled_from(
    [
        "[", "]", "{", "}", ":", ": ", "- ", "? ", "\n", "  ", "\t", "&a ", "*a", "<<: ",
        "!!int ", "!!binary ", "!!set ", "!x ", "|\n", ">\n", "'", '"', "\\U", "#", "%",
        "---\n", "...\n", "%YAML 1.1\n", "~", ".nan", "0x", "0o9", "1e999", "true", "-0",
        "2 GiB", "2020-01-01", "12:30", "name", "hub", "port", "profiles", "users",
        "groups", "\x00", "\x85", "\u2028", "\ufeff", "9" * 40,
    ]
)  # fmt: skip
TEXTS = st.lists(TOKENS, max_size=12).map("".join)


def _holds(text: str) -> None:
    problems: tuple[Problem, ...] = ()
    facility = None
    try:
        facility = loads(text, "f", directory=Path("/"))
    except SpecError as error:
        problems = error.problems
    if facility is not None:
        assert loads(dumps(facility), directory=Path("/")) == facility
        return
    assert problems
    for problem in problems:
        assert str(problem).isprintable()
        assert len(str(problem)) < 700
        assert problem.line >= 1
        assert problem.column >= 1


@settings(max_examples=150, deadline=None)
@given(TEXTS | st.text(max_size=30))
def test_any_text_is_a_facility_or_problems(text: str) -> None:
    _holds(text)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, len(DEFAULT)), st.integers(0, 10), TEXTS)
def test_any_change_of_a_file_gives_a_facility_or_problems(
    start: int, length: int, text: str
) -> None:
    _holds(DEFAULT[:start] + text + DEFAULT[start + length :])
