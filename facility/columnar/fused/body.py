"""The body of a kernel, or of a function that it calls: its text and its names.

A body is a value: it holds the source and what the names in it stand for, so that it
pickles from a notebook, and means on a worker what it meant at home.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import textwrap
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from facility.columnar.fused.errors import KernelError


@dataclass(frozen=True)
class Body:
    """A function's source and the values of the names that it does not bind itself."""

    name: str
    file: str
    first_line: int
    """Of the source in the file, from 1."""
    source: str
    """Of the ``def`` with its decorators, not indented."""
    captured: Mapping[str, Any] = field(compare=False)
    """Module-level and enclosing names; functions written in Python are bodies."""
    defaults: tuple[Any, ...] = field(default=(), compare=False)
    """Of the last parameters."""

    def __getstate__(self) -> dict[str, Any]:
        """Return what a pickle holds: the text, not its syntax tree."""
        return {k: v for k, v in vars(self).items() if k != "definition"}

    @cached_property
    def definition(self) -> ast.FunctionDef:
        """The syntax tree, with the line numbers of the file."""
        tree = ast.parse(self.source)
        ast.increment_lineno(tree, self.first_line - 1)
        found = tree.body[0]
        assert isinstance(found, ast.FunctionDef)
        return found

    def digest_parts(self) -> tuple[Any, ...]:
        """Return what of it makes the result: see :mod:`facility.columnar.code`."""
        return self.source, dict(self.captured), self.defaults

    @property
    def parameters(self) -> tuple[str, ...]:
        return tuple(a.arg for a in self.definition.args.args)

    def where(self, node: ast.AST) -> str:
        """Return file and line."""
        return f"{self.file}:{getattr(node, 'lineno', self.first_line)}"

    def text(self, node: ast.AST) -> str:
        """Return the first line of what is written there."""
        lines = self.source.splitlines()
        at = getattr(node, "lineno", self.first_line) - self.first_line
        if isinstance(node, ast.stmt) or at >= len(lines):
            return lines[at].strip() if at < len(lines) else self.name
        return ast.unparse(node)


def body_of(function: Callable[..., Any]) -> Body:
    """Return the body of a function of a file or of a notebook's cell.

    What its names stand for is looked up now: later changes are not seen.

    Raises:
        KernelError: there is no source, or it is not a plain ``def``.
    """
    return _Reader().read(function)


class _Reader:
    """Reads functions that call each other, each once."""

    def __init__(self) -> None:
        self._read: dict[types.CodeType, Body] = {}

    def read(self, function: Callable[..., Any]) -> Body:
        if not isinstance(function, types.FunctionType):
            raise KernelError(f"{function!r} is no function written in Python")
        known = self._read.get(function.__code__)
        if known is not None:
            return known
        source, first_line = _source(function)
        captured: dict[str, Any] = {}
        body = Body(
            function.__name__,
            function.__code__.co_filename,
            first_line,
            source,
            captured,
            function.__defaults__ or (),
        )
        # Before its names, which may be its own: recursion is refused when compiled.
        self._read[function.__code__] = body
        for name, value in _names(function, body.definition):
            captured[name] = self._value(value)
        return body

    def _value(self, value: Any) -> Any:
        if isinstance(value, types.FunctionType) and _is_readable(value):
            return self.read(value)
        return value


def _is_readable(function: types.FunctionType) -> bool:
    try:
        _source(function)
    except KernelError:
        return False
    return True


def _source(function: types.FunctionType) -> tuple[str, int]:
    try:
        lines, first_line = inspect.getsourcelines(function)
    except (OSError, TypeError) as error:
        raise KernelError(
            f"the source of {function.__name__!r} is not to be had: write it in a "
            "file or in a notebook's cell"
        ) from error
    source = textwrap.dedent("".join(lines))
    try:
        tree = ast.parse(source)
    except SyntaxError:  # a lambda in the middle of an expression
        tree = ast.Module([], [])
    if not tree.body or not isinstance(tree.body[0], ast.FunctionDef):
        raise KernelError(
            f"{function.__code__.co_filename}:{first_line}: expected a function made by def, got "
            f"`{source.strip().splitlines()[0]}`"
        )
    if tree.body[0].name != function.__code__.co_name:
        raise KernelError(
            f"{function.__code__.co_filename} is not as it was when "
            f"{function.__name__} was defined: import it again"
        )
    return source, first_line


def _names(
    function: types.FunctionType, definition: ast.FunctionDef
) -> Iterator[tuple[str, Any]]:
    """Yield the names that a function's statements use and others have bound."""
    enclosing = inspect.getclosurevars(function).nonlocals
    used = {
        node.id
        for statement in definition.body
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }
    for name in sorted(used):
        for names in (enclosing, function.__globals__):
            if name in names:
                yield name, names[name]
                break


def builtin(name: str) -> Any:
    """Return a builtin; raises ``KeyError`` if there is none."""
    return vars(builtins)[name]
