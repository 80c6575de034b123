"""What is wrong with a ``facility.yaml``: problems as data, one line each."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from facility.errors import UsageError
from facility.spec.consistency import Location

_LONGEST_PATH = 200


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong, and where."""

    file: str
    line: int
    """From 1; 0 if the file as a whole is meant."""
    column: int
    """From 1; 0 if the file as a whole is meant."""
    key: str
    """Path of the key such as ``profiles[0].server.memory``; empty at the top."""
    message: str
    """What is wrong; expected, got; did you mean."""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return ": ".join(part for part in (place, self.key, self.message) if part)


class SpecError(UsageError):
    """A file that is no facility: every problem, in the file's order."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(map(str, self.problems)))


def key_path(location: Location) -> str:
    """Write a location the way people do: ``profiles[0].server.memory``."""
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            path += f".{part}" if path else part
    path = path if path.isprintable() else ascii(path)[1:-1]
    return path if len(path) <= _LONGEST_PATH else f"{path[:_LONGEST_PATH]}..."


def nearest(word: str, known: Sequence[str]) -> str:
    """Return ``; did you mean 'x'?``, or nothing if no known word is near."""
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else ""


def shown(value: object) -> str:
    """Write a value so that it fits into the line of a problem."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case dict():
            return "a mapping"
        case list() | tuple():
            return "a list"
        case _:
            text = repr(value)
            return text if len(text) <= 60 else f"{text[:57]}..."
