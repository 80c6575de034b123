"""Comparisons, ``and``, ``or``, and the choice between two values."""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from facility.columnar.fused.context import EXPRESSIONS, Context
from facility.columnar.fused.names import is_none, store, variable
from facility.columnar.fused.nearest import comparison
from facility.columnar.fused.scalars import as_scalar, as_truth, as_type, is_number
from facility.columnar.fused.values import (
    Object,
    Scalar,
    Static,
    Truth,
    Tuple,
    Value,
    Vector,
    described,
)
from facility.columnar.fused.variables import wider

COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}


def _compare(context: Context, node: ast.Compare) -> Value:
    operands = [node.left, *node.comparators]

    def term(position: int) -> Callable[[], Value]:
        def lowered() -> Value:
            left, right = operands[position], operands[position + 1]
            op = node.ops[position]
            if isinstance(op, ast.Is | ast.IsNot) and (
                name := _compared_with_none(left, right)
            ):
                return is_none(context, name, isinstance(op, ast.IsNot))
            # The middle of a chain is evaluated once: as code it is free of effects.
            return compare(context, node, op, context.value(left), context.value(right))

        return lowered

    if len(node.ops) == 1:
        return term(0)()
    return _logic(context, node, "and", [term(i) for i in range(len(node.ops))])


def compare(
    context: Context, node: ast.AST, op: ast.cmpop, left: Value, right: Value
) -> Value:
    """Return the truth of one comparison."""
    if isinstance(op, ast.Is | ast.IsNot):
        return _identity(context, node, left, right, isinstance(op, ast.IsNot))
    if isinstance(op, ast.In | ast.NotIn):
        return _membership(context, node, left, right, isinstance(op, ast.NotIn))
    symbol = COMPARISONS[type(op)]
    if isinstance(left, Static) and isinstance(right, Static):
        for value in (left.value, right.value):
            if not is_number(value) and not isinstance(value, str):
                raise context.refusal(node, f"{value!r} is not compared with {symbol}")
        result = {
            "<": operator.lt,
            "<=": operator.le,
            ">": operator.gt,
            ">=": operator.ge,
            "==": operator.eq,
            "!=": operator.ne,
        }[symbol](left.value, right.value)
        return Static(bool(result))
    if isinstance(left, Object) and isinstance(right, Object):
        raise context.refusal(
            node, f"objects are not compared with {symbol}", "write `is`"
        )
    a = as_scalar(context, node, left, f"a number to the left of {symbol}")
    b = as_scalar(context, node, right, f"a number to the right of {symbol}")
    code = _cheaper(context, a, symbol, b, right) or _cheaper(
        context, b, _MIRRORED[symbol], a, left
    )
    return Scalar(code or f"({a.code} {symbol} {b.code})", "bool")


_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


def _cheaper(
    context: Context, root: Scalar, symbol: str, bound: Scalar, other: Value
) -> str:
    """Return a comparison that needs no square root, or seldom; else nothing."""
    if root.squared and isinstance(other, Static):
        return _without_root(root.squared, symbol, other.value)
    return comparison(context, root, bound) if symbol == "<" else ""


def _without_root(squared: str, symbol: str, bound: Any) -> str:
    """Return the comparison of a square root, done on what is below the root.

    Exactly: the square root is monotonic and correctly rounded, so there is a smallest
    number whose root reaches the bound.
    """
    number = float(bound)
    if symbol in ("==", "!=") or not 1e-150 < number < 1e150:
        return ""
    reaches: Callable[[float], bool]
    if symbol in ("<", ">="):

        def reaches(x: float) -> bool:
            return math.sqrt(x) >= number
    else:

        def reaches(x: float) -> bool:
            return math.sqrt(x) > number

    threshold = number * number
    while reaches(threshold):
        threshold = math.nextafter(threshold, 0.0)
    while not reaches(threshold):
        threshold = math.nextafter(threshold, math.inf)
    return f"({squared} {'<' if symbol in ('<', '<=') else '>='} {threshold!r})"


def _membership(
    context: Context, node: ast.AST, left: Value, right: Value, is_negated: bool
) -> Value:
    items: Sequence[Value]
    match right:
        case Tuple():
            items = right.items
        case Static(value=tuple() | list() | set() | frozenset()):
            items = tuple(Static(v) for v in right.value)
        case _:
            raise context.refusal(
                node, f"expected a tuple to the right of in, got {described(right)}"
            )
    if isinstance(left, Scalar):
        left = Scalar(context.named(left.code), left.type)
    tests = [compare(context, node, ast.Eq(), left, item) for item in items]
    code = " or ".join(as_truth(context, node, t) for t in tests) or "False"
    return Scalar(f"(not ({code}))" if is_negated else f"({code})", "bool")


def _boolean(context: Context, node: ast.BoolOp) -> Value:
    word = "and" if isinstance(node.op, ast.And) else "or"
    operands: list[Value] = []

    def term(operand: ast.expr) -> Callable[[], Value]:
        def lowered() -> Value:
            operands.append(context.value(operand))
            return Scalar(as_truth(context, operand, operands[-1]), "bool")

        return lowered

    answer = _logic(context, node, word, [term(v) for v in node.values])
    # The answer is one of the operands: a truth value if all of them are.
    return answer if all(map(_is_truth, operands)) else Truth(answer.code)


def _is_truth(value: Value) -> bool:
    match value:
        case Scalar(type="bool") | Static(value=bool() | np.bool_()):
            return True
    return False


def _logic(
    context: Context, node: ast.AST, word: str, terms: Sequence[Callable[[], Value]]
) -> Scalar:
    """Return terms joined by ``and`` or ``or``: none is evaluated beyond the answer."""
    first = terms[0]()
    code = as_truth(context, node, first)
    for term in terms[1:]:
        with context.apart() as lines:
            value = as_truth(context, node, term())
        if all(_is_cheap(line) for line in lines):
            context.lines += (line.removeprefix("    ") for line in lines)
            code = f"({code} {word} {value})"
            continue
        # What it takes to evaluate the term (a check, a loop) must not be done early.
        name = context.fresh("truth_")
        context.emit(f"{name} = {code}")
        context.emit(f"if {name}:" if word == "and" else f"if not {name}:")
        context.lines += lines
        with context.indented():
            context.emit(f"{name} = {value}")
        code = name
    return Scalar(code, "bool")


_CHEAP = {"delta_r_squared", "pt_squared", "float64", "int64", "abs"}
_VALUE = re.compile(r"\s*\w+ = (.*)")


def _is_cheap(line: str) -> bool:
    """Return whether a line computes in less time than a wrong guess at a branch costs.

    Nothing else comes of it: it names a value, which exists whatever the answer is.
    """
    found = _VALUE.fullmatch(line)
    return found is not None and {*re.findall(r"(\w+)\(", found[1])} <= _CHEAP


def _ternary(context: Context, node: ast.IfExp) -> Value:
    test = as_truth(context, node.test, context.value(node.test))
    sides: list[tuple[Value, list[str]]] = []
    for side in (node.body, node.orelse):
        with context.apart() as lines:
            value = context.value(side)
        sides.append((value, lines))
    (a, a_lines), (b, b_lines) = sides
    if isinstance(a, Static) and a == b:
        return a
    if isinstance(a, Object | Vector) and isinstance(b, Object | Vector):
        return _chosen(context, node, test, sides)
    first = as_scalar(context, node.body, a)
    second = as_scalar(context, node.orelse, b)
    kind = wider(first.type, second.type)
    if not a_lines and not b_lines:
        a_code, b_code = (as_type(s, kind) for s in (first, second))
        return Scalar(f"({a_code} if {test} else {b_code})", kind)
    name = context.fresh("choice_")
    for word, lines, scalar in (
        (f"if {test}:", a_lines, first),
        ("else:", b_lines, second),
    ):
        context.emit(word)
        context.lines += lines
        with context.indented():
            context.emit(f"{name} = {as_type(scalar, kind)}")
    return Scalar(name, kind)


def _chosen(
    context: Context, node: ast.IfExp, test: str, sides: list[tuple[Value, list[str]]]
) -> Value:
    """Return one of two objects, or of two sums, in a variable of its own."""
    place = variable(context, f"choice_{node.lineno}_{node.col_offset}")
    held: list[Value] = []
    for word, (value, lines) in zip((f"if {test}:", "else:"), sides, strict=True):
        context.emit(word)
        context.lines += lines
        with context.indented():
            held.append(store(context, node, place, value))
    first, second = held
    known = context.known.value(place)
    return first if first == second or known is None else known


def _compared_with_none(left: ast.expr, right: ast.expr) -> ast.Name | None:
    """Return the name that is compared with None, if that is what is compared."""
    for one, other in ((left, right), (right, left)):
        is_none_literal = isinstance(other, ast.Constant) and other.value is None
        if isinstance(one, ast.Name) and is_none_literal:
            return one
    return None


def _identity(
    context: Context, node: ast.AST, left: Value, right: Value, is_negated: bool
) -> Value:
    nothing = Static(None)
    if nothing in (left, right):
        is_same = left == right
        return Static(is_same != is_negated)
    if not isinstance(left, Object) or not isinstance(right, Object):
        raise context.refusal(node, "`is` compares objects, or something with None")
    code = _same_object(left, right)
    return Scalar(f"(not {code})" if is_negated else code, "bool")


def _same_object(left: Object, right: Object) -> str:
    pairs = []
    for i, one in enumerate(left.shapes):
        for k, other in enumerate(right.shapes):
            if one.name == other.name:
                tests = [f"{left.index} == {right.index}"]
                tests += [f"{left.tag} == {i}"] if left.tag else []
                tests += [f"{right.tag} == {k}"] if right.tag else []
                pairs.append(f"({' and '.join(tests)})")
    return f"({' or '.join(pairs) or 'False'})"


EXPRESSIONS.update({ast.Compare: _compare, ast.BoolOp: _boolean, ast.IfExp: _ternary})
