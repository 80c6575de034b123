"""Text from strangers is an environment or one line that says why not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from facility.environment import Environment, Interpreter, Libc

GOOD: dict[str, Any] = {
    "format": 1,
    "interpreter": {
        "implementation": "cpython",
        "version": "3.11.2",
        "machine": "x86_64",
        "libc": {"name": "glibc", "version": "2.36"},
    },
    "distributions": {"numpy": {"version": "2.4.6", "origin": "index"}},
    "prefix": "/env",
}


def _with(path: str, value: object) -> str:
    data = json.loads(json.dumps(GOOD))
    *parents, last = path.split(".")
    part = data
    for parent in parents:
        part = part[parent]
    part[last] = value
    return json.dumps(data)


CASES = {
    "no JSON": ("{", "an environment is JSON, got: Expecting property name"),
    "endless nesting": ("[" * 100_000, "an environment is JSON, got: "),
    "a list": ("[]", "environment: expected a mapping, got []"),
    "another format": (
        _with("format", 2),
        "expected format 1 of an environment, got 2",
    ),
    "no interpreter": (
        _with("interpreter", None),
        "interpreter: expected a mapping, got None",
    ),
    "a number for text": (
        _with("interpreter.version", 3.11),
        "interpreter.version: expected a line of text, got 3.11",
    ),
    "two lines": (
        _with("interpreter.machine", "a\nb"),
        "interpreter.machine: expected a line of text, got 'a\\nb'",
    ),
    "a terminal's control sequence": (
        _with("distributions.numpy.version", "\x1b[2J"),
        "distributions.'numpy'.version: expected a line of text, got '\\x1b[2J'",
    ),
    "a name of two lines": (
        _with("distributions.a\nb", {}),
        "expected the name of a distribution, got 'a\\nb'",
    ),
    "a long text": (
        _with("prefix", "x" * 3000),
        f"environment.prefix: expected a line of text, got '{'x' * 56}...",
    ),
    "an unknown origin": (
        _with("distributions.numpy.origin", "moon"),
        (
            "distributions.'numpy'.origin: expected one of index, editable, vcs, archive, "
            "local, conda, other, got 'moon'"
        ),
    ),
    "too long": (
        " " * (2**21 + 1),
        "an environment has at most 2097152 characters, got 2097153",
    ),
}


@pytest.mark.parametrize(("text", "message"), CASES.values(), ids=CASES.keys())
def test_what_is_no_environment_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=r"^.*$") as caught:
        Environment.from_json(text)
    assert str(caught.value).startswith(message)


def test_the_model_case_is_good() -> None:
    assert str(Environment.from_json(json.dumps(GOOD)).libc) == "glibc 2.36"


@pytest.mark.parametrize(
    ("libc", "tag"),
    [
        (Libc("glibc", "2.36"), "manylinux_2_36_x86_64"),
        (Libc("musl", "1.2"), "musllinux_1_2_x86_64"),
        (Libc("musl", ""), "linux_x86_64"),
        (Libc("other", "1"), "linux_x86_64"),
    ],
)
def test_the_platform_tag_is_that_of_wheels(libc: Libc, tag: str) -> None:
    assert Interpreter("cpython", "3.11.2", "x86_64", libc).platform_tag == tag
