"""The state of lowering one body, and the tables of what is done with which syntax.

Modules register functions for kinds of syntax here and reach each other through
:class:`Context`, so that none needs to import another.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from facility.columnar.columns import ColumnType
from facility.columnar.fused.axes import Layout
from facility.columnar.fused.body import Body
from facility.columnar.fused.branches import Branches
from facility.columnar.fused.errors import KernelError, refusal
from facility.columnar.fused.program import Failure, Input, Momenta, Tally
from facility.columnar.fused.values import Value
from facility.columnar.fused.variables import Binding, Known, Names
from facility.columnar.schemas import Shape

RESERVED = {
    *("at", "j", "math", "np", "float64", "int64", "range", "abs", "body", "bin_of"),
    *("count", "weigh", "weigh_squares", "nan_weights", "run", "failed", "status"),
    *("units", "first", "last", "whole", "k", "px", "py", "pz", "energy"),
    *("places", "copies", "tallied"),
}
"""Names that the generated source and the loops round it use themselves."""

EXPRESSIONS: dict[type[ast.expr], Callable[[Context, Any], Value]] = {}
STATEMENTS: dict[type[ast.stmt], Callable[[Context, Any], bool]] = {}


class UndeterminedError(Exception):
    """A variable's kind is not known yet: a later statement will tell."""

    def __init__(self, refusal: KernelError) -> None:
        super().__init__(refusal)
        self.refusal = refusal
        """What is wrong if none does."""


@dataclass
class Loop:
    """A loop of the body: one ``for`` or ``while``, several in the generated source."""

    levels: int
    """How many loops of the generated source ``break`` must leave."""
    stop: str = ""
    """The variable that is true once it was left, if more than one or unrolled."""
    is_stopped: bool = False
    """Whether ``stop`` was used."""


@dataclass
class Frame:
    """A function that is being lowered: the body, or a helper within it."""

    body: Body
    prefix: str
    """Of its variables' names in the generated source."""
    names: Names
    loops: list[Loop] = field(default_factory=list)
    result: str = ""
    """The name that gets what a helper returns; empty in the kernel's body."""
    is_simple: bool = False
    """Whether a helper returns once, at its end."""
    done: str = ""
    """The variable that says that a helper has returned from within a loop."""
    is_done_used: bool = False
    returned: list[Value] = field(default_factory=list)
    """What a helper returns, in the order of the text."""


class Context:
    """What lowering knows at the place where it is."""

    def __init__(
        self,
        body: Body,
        branches: Branches,
        layouts: dict[str, Layout],
        known: Known,
    ) -> None:
        self.branches = branches
        self.layouts = layouts
        self.known = known
        self.frame = Frame(body, "", {})
        self.depth = 0
        """Of helpers within helpers."""
        self.lines: list[str] = []
        self.failures: list[Failure] = []
        self.undetermined: KernelError | None = None
        self.uses_event = False
        """Whether a number of the event was used."""
        self.spans = 0
        """How often it was asked where the event's part of a list is."""
        self.inputs: dict[str, Input] = {}
        self.lists: dict[str, list[str]] = {}
        """Branches by the collection whose parts they have."""
        self.counts: dict[str, str | None] = {}
        self.momenta: dict[str, Momenta] = {}
        self.constants: dict[str, Any] = {}
        self.flat: ast.For | None = None
        """The loop whose turns are done on their own, if the body is just that."""
        self.nothing = ""
        """What the function returns where nothing was filled, if it returns bins."""
        self.has_tallies = False  # whether objects may be counted before the body
        self.tallies: list[Tally] = []
        self.filled: list[str] = []
        """The histograms that are filled, in the order of the text."""
        self.loops = 0
        """How many loops were written."""
        self._indent = 0
        # Of whatever comes first, variables keep their names.
        self._taken = {*RESERVED, *names_in(body)}

    # What is lowered

    def value(self, node: ast.expr) -> Value:
        """Return what an expression is; statements that it needs come before."""
        handler = EXPRESSIONS.get(type(node))
        if handler is None:
            raise self.refusal(
                node, f"{_words(node)} is not in the language of kernels"
            )
        return handler(self, node)

    def block(self, statements: Sequence[ast.stmt]) -> bool:
        """Lower statements; return whether what follows them can be reached."""
        for statement in statements:
            handler = STATEMENTS.get(type(statement))
            if handler is None:
                what = _words(statement)
                raise self.refusal(
                    statement, f"{what} is not in the language of kernels"
                )
            try:
                if not handler(self, statement):
                    return False
            except UndeterminedError as error:
                self.undetermined = error.refusal
                for name in assigned_names([statement]):
                    self.frame.names.setdefault(name, Binding(None))
                # What is within may tell what the condition needs to know.
                if isinstance(statement, ast.If | ast.While):
                    self.block(statement.body)
                    self.block(statement.orelse)
        return True

    # What is read

    def use_branch(self, branch: str, type_: ColumnType) -> str:
        """Return the parameter that holds a column."""
        if branch not in self.inputs:
            name = self.fresh(re.sub(r"\W", "_", branch))
            self.inputs[branch] = Input(name, branch, type_)
        return self.inputs[branch].parameter

    def use_list(self, shape: Shape, branch: str | None = None) -> None:
        """Note that a collection is looked at, and which of its columns is."""
        branches = self.lists.setdefault(shape.name, [])
        self.counts[shape.name] = shape.counts
        if not self.branches.is_whole(shape.counts):
            branch = branch or self._any_field(shape)
        if branch and branch not in branches:
            branches.append(branch)

    def _any_field(self, shape: Shape) -> str | None:
        """Return a branch that tells how many objects there are."""
        for branch in shape.fields.values():
            found = self.branches.type(branch)
            if found is not None and found.is_jagged:
                self.use_branch(branch, found)
                return branch
        return None

    def use_numbers(self, branch: str, type_: ColumnType) -> None:
        """Note that a list of numbers is looked at that is no object's field."""
        self.use_branch(branch, type_)
        self.lists.setdefault(branch, [branch])
        self.counts[branch] = type_.counts

    # What is written

    def line(self, text: str) -> str:
        """Return a line of the generated source, indented for this place."""
        return "    " * self._indent + text

    def emit(self, text: str) -> None:
        self.lines.append(self.line(text))

    @contextmanager
    def indented(self) -> Iterator[None]:
        self._indent += 1
        before = len(self.lines)
        try:
            yield
            if len(self.lines) == before:
                self.emit("pass")
        finally:
            self._indent -= 1

    @contextmanager
    def captured(self) -> Iterator[list[str]]:
        """Keep what is written inside apart."""
        outer, self.lines = self.lines, []
        try:
            yield self.lines
        finally:
            self.lines = outer

    @contextmanager
    def apart(self) -> Iterator[list[str]]:
        """Keep what is written inside apart: the beginning of a block, or nothing."""
        with self.captured() as lines:
            self._indent += 1
            try:
                yield lines
            finally:
                self._indent -= 1

    def fresh(self, hint: str) -> str:
        """Return a name that is not taken, and take it."""
        name, count = hint, 1
        while name in self._taken:
            count += 1
            name = f"{hint}_{count}"
        self._taken.add(name)
        return name

    def named(self, code: str, hint: str = "t") -> str:
        """Return a name for what the code computes, so that it is computed once."""
        if code.isidentifier():
            return code
        name = self.fresh(f"{hint}_")
        self.emit(f"{name} = {code}")
        return name

    def leave(self) -> None:
        """Write the end of the event (or of the object)."""
        self.emit(f"return {self.nothing or 0}")

    def check(self, node: ast.AST, condition: str, what: str) -> None:
        """Make the body fail where the condition holds."""
        body = self.frame.body
        text = f"{body.where(node)}: `{body.text(node)}`: {what}"
        self.failures.append(Failure(text))
        self.emit(f"if {condition}:")
        with self.indented():
            self.emit(f"return {len(self.failures)}")

    def refusal(self, node: ast.AST, reason: str, hint: str = "") -> KernelError:
        """Return the error that says why something does not compile."""
        body = self.frame.body
        return refusal(body.where(node), body.text(node), reason, hint)


def names_in(body: Body) -> set[str]:
    """Return the names that a function uses."""
    return {n.id for n in ast.walk(body.definition) if isinstance(n, ast.Name)}


def assigned_names(statements: Sequence[ast.AST]) -> Iterator[str]:
    """Yield the names that statements assign to."""
    for statement in statements:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield node.id


def _words(node: ast.AST) -> str:
    known = {
        ast.ListComp: "a list (objects are looped over where they are)",
        ast.Lambda: "lambda",
        ast.With: "with",
        ast.Try: "try",
        ast.Raise: "raise",
        ast.Delete: "del",
        ast.Assert: "assert",
        ast.Import: "import (import at the top of the file)",
        ast.ImportFrom: "import (import at the top of the file)",
        ast.FunctionDef: "a function within (define it at the top of the file)",
        ast.ClassDef: "a class",
        ast.Global: "global",
        ast.Nonlocal: "nonlocal",
        ast.Yield: "yield",
        ast.Await: "await",
        ast.JoinedStr: "a formatted text",
        ast.Dict: "a dict",
        ast.Set: "a set",
        ast.NamedExpr: "an assignment within an expression",
        ast.Starred: "a starred expression",
        ast.Match: "match (use if and elif)",
    }
    return known.get(type(node), f"{type(node).__name__}")
