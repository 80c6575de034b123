"""Reads YAML into plain values and remembers where each of them stands.

Only the core types exist here: mappings with text keys, lists, text, numbers, true,
false, nothing. No tag builds an object, and what aliases unfold to is bounded.
"""

from __future__ import annotations

import math
import unicodedata
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from facility.spec.consistency import Location
from facility.spec.diagnostics import Problem, key_path, shown

MOST_VALUES = 50_000
"""Values in a document after aliases are unfolded."""

DEEPEST = 32
"""Mappings and lists inside each other."""

_TAG = "tag:yaml.org,2002:"
_LONGEST_REASON = 200
_LARGEST_NUMBER = 10**30


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a text; both numbers count from 1."""

    line: int
    column: int


@dataclass(slots=True)
class Document:
    """The values of a file, where they stand, and what could not be read."""

    file: str
    value: object = None
    keys: dict[Location, Position] = field(default_factory=dict)
    values: dict[Location, Position] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    unreadable: set[Location] = field(default_factory=set)
    """Where a value is that a problem was made of: it counts as absent."""

    def position(self, location: Location, *, of_key: bool = False) -> Position:
        """Return where a value (or its key) stands, or the nearest thing above it."""
        if of_key and location in self.keys:
            return self.keys[location]
        while location and location not in self.values:
            location = location[:-1]
        return self.values.get(location, Position(1, 1))

    def problem(
        self, location: Location, message: str, *, of_key: bool = False
    ) -> Problem:
        """Make a problem of something in this document."""
        position = self.position(location, of_key=of_key)
        return Problem(
            self.file, position.line, position.column, key_path(location), message
        )


def parse(text: str, file: str) -> Document:
    """Parse YAML. Never raises: what is wrong is among the document's problems.

    A key without a value counts as absent: its default holds.
    """
    document = Document(file)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an anchor that is used twice is legal
            root: Node | None = YAML(typ="safe", pure=True).compose(text)
        if root is not None:
            document.value = _Builder(document).build(root, (), 0)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        position = Position(mark.line + 1, mark.column + 1) if mark else Position(1, 1)
        reasons = (error.context, error.problem)
        why = ", ".join(" ".join(str(r).split()) for r in reasons if r)
        document.problems.append(_syntax(file, position, why))
    except ReaderError as error:
        before = text[: error.position]
        line = before.count("\n") + 1
        column = len(before) - (before.rfind("\n") + 1) + 1
        why = f"character {text[error.position : error.position + 1]!a}"
        document.problems.append(_syntax(file, Position(line, column), why))
    except _TooMuchError as error:
        document.problems.append(document.problem((), str(error)))
    except RecursionError:
        document.problems.append(document.problem((), _TOO_DEEP))
    except (YAMLError, ArithmeticError, LookupError, ValueError, *_SLIPS) as error:
        # The parser's own slips on strange input, such as an escape beyond Unicode.
        why = " ".join(str(error).split())
        document.problems.append(_syntax(file, Position(1, 1), why))
    return document


_SLIPS = (AssertionError, AttributeError, TypeError)
_TOO_DEEP = f"expected at most {DEEPEST} levels of nesting, got more"


class _TooMuchError(Exception):
    """A limit on the size of documents is passed."""


def _syntax(file: str, position: Position, why: str) -> Problem:
    why = why if len(why) <= _LONGEST_REASON else f"{why[:_LONGEST_REASON]}..."
    return Problem(
        file, position.line, position.column, "", f"expected YAML, got an error: {why}"
    )


class _Builder:
    """Turns nodes into values, once per place where they appear."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._count = 0

    def build(self, node: Node, location: Location, depth: int) -> object:
        self._count += 1
        if self._count > MOST_VALUES:
            raise _TooMuchError(
                f"expected at most {MOST_VALUES} values (aliases unfolded), got more"
            )
        if depth > DEEPEST:
            raise _TooMuchError(_TOO_DEEP)
        self._document.values[location] = _position(node)
        match node:
            case MappingNode() if node.tag == f"{_TAG}map":
                return self._mapping(node, location, depth)
            case SequenceNode() if node.tag == f"{_TAG}seq":
                return [
                    self.build(item, (*location, index), depth + 1)
                    for index, item in enumerate(node.value)
                ]
            case ScalarNode():
                return self._scalar(node, location)
            case _:
                self._report(
                    location, f"expected a plain value, got tag {_tag(node)!r}"
                )
                return None

    def _mapping(
        self, node: MappingNode, location: Location, depth: int
    ) -> dict[str, object]:
        found: dict[str, object] = {}
        for key, key_node, value_node in self._pairs(node, location):
            inner = (*location, key)
            if key in found:
                before = self._document.keys[inner].line
                place = _position(key_node)
                self._document.problems.append(
                    Problem(
                        self._document.file,
                        place.line,
                        place.column,
                        key_path(inner),
                        f"duplicate key; expected it once, got it in line {before} too",
                    )
                )
                continue
            self._document.keys[inner] = _position(key_node)
            found[key] = self.build(value_node, inner, depth + 1)
        return {key: value for key, value in found.items() if value is not None}

    def _pairs(
        self, node: MappingNode, location: Location
    ) -> Iterator[tuple[str, Node, Node]]:
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode) or not _is_text(key_node.value):
                place = _position(key_node)
                self._document.problems.append(
                    Problem(
                        self._document.file,
                        place.line,
                        place.column,
                        key_path(location),
                        "expected a key that is text, got "
                        + (
                            shown(key_node.value)
                            if isinstance(key_node, ScalarNode)
                            else "a mapping or list"
                        ),
                    )
                )
                continue
            yield key_node.value, key_node, value_node

    def _scalar(self, node: ScalarNode, location: Location) -> object:
        text: str = node.value
        if not _is_text(text):
            self._report(location, f"expected printable text, got {shown(text)}")
            return None
        match str(node.tag).removeprefix(_TAG):
            case "null":
                return None
            case "bool" if text.lower() in {"true", "false"}:
                return text.lower() == "true"
            case "int":
                return self._number(text, location, is_whole=True)
            case "float":
                return self._number(text, location, is_whole=False)
            case "str" | "timestamp":  # no key of ours is a date: text then
                return text
            case _:
                self._report(
                    location, f"expected a plain value, got tag {_tag(node)!r}"
                )
                return None

    def _number(self, text: str, location: Location, *, is_whole: bool) -> object:
        plain = text.replace("_", "").lower()
        try:
            if is_whole:
                bare = plain.lstrip("+-")
                # YAML 1.2: a leading zero is no sign of octal numbers, 0o is.
                number: float = int(plain, 0 if bare[:2] in {"0x", "0o", "0b"} else 10)
            else:
                number = float(plain.replace(".inf", "inf").replace(".nan", "nan"))
        except ValueError:
            number = math.nan
        if not abs(number) <= _LARGEST_NUMBER:  # false for NaN too
            self._report(
                location, f"expected a number of a sensible size, got {shown(text)}"
            )
            return None
        return number

    def _report(self, location: Location, message: str) -> None:
        self._document.unreadable.add(location)
        self._document.problems.append(self._document.problem(location, message))


def _position(node: Node) -> Position:
    mark = node.start_mark
    return Position(mark.line + 1, mark.column + 1)


def _tag(node: Node) -> str:
    return str(node.tag).replace(_TAG, "!!")


def _is_text(text: str) -> bool:
    """True if no control character or half of a surrogate pair is in it."""
    return not any(unicodedata.category(c) in {"Cc", "Cs"} for c in text if c != "\n")
