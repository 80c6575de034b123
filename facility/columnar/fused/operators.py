"""Operators on numbers and four-momenta.

The semantics are those of numpy's 64-bit scalars: see
:mod:`facility.columnar.fused.arithmetic`. Truth values count as integers.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from facility.columnar.fused.arithmetic import LARGEST_POWER
from facility.columnar.fused.context import EXPRESSIONS, Context
from facility.columnar.fused.nearest import difference
from facility.columnar.fused.scalars import as_scalar, as_truth, is_number
from facility.columnar.fused.values import Object, Scalar, Static, Tuple, Value, Vector
from facility.columnar.fused.variables import wider
from facility.columnar.fused.vectors import vector_operation

OPERATORS: dict[type[ast.operator], tuple[str, Callable[[Any, Any], Any]]] = {
    ast.Add: ("+", operator.add),
    ast.Sub: ("-", operator.sub),
    ast.Mult: ("*", operator.mul),
    ast.Div: ("/", operator.truediv),
    ast.FloorDiv: ("//", operator.floordiv),
    ast.Mod: ("%", operator.mod),
    ast.Pow: ("**", operator.pow),
    ast.BitAnd: ("&", operator.and_),
    ast.BitOr: ("|", operator.or_),
    ast.BitXor: ("^", operator.xor),
    ast.LShift: ("<<", operator.lshift),
    ast.RShift: (">>", operator.rshift),
}


_INTEGER = {"+": "integer_sum", "-": "integer_difference", "*": "integer_product"}


def _constant(context: Context, node: ast.Constant) -> Value:
    if isinstance(node.value, complex | bytes) or node.value is ...:
        raise context.refusal(
            node, f"{type(node.value).__name__} is not in the language"
        )
    if type(node.value) is int and not -(2**63) <= node.value < 2**63:
        raise context.refusal(node, "integers have 64 bits")
    return Static(node.value)


def _binary(context: Context, node: ast.BinOp) -> Value:
    return binary(
        context, node, node.op, context.value(node.left), context.value(node.right)
    )


def binary(
    context: Context, node: ast.AST, op: ast.operator, left: Value, right: Value
) -> Value:
    """Return the result of an operator, on numbers or on four-momenta."""
    if isinstance(left, Object | Vector) or isinstance(right, Object | Vector):
        return vector_operation(context, node, op, left, right)
    if type(op) not in OPERATORS:
        raise context.refusal(node, "this operator is not in the language")
    symbol, function = OPERATORS[type(op)]
    if (
        isinstance(left, Static)
        and isinstance(right, Static)
        and is_number(left.value)
        and is_number(right.value)
        and symbol in "+-*/"
    ):
        with np.errstate(all="ignore"):
            result = function(_wide(left.value), _wide(right.value))
        return Static(result.item())
    what = f"a number to the left of {symbol}", f"a number to the right of {symbol}"
    a = as_scalar(context, node, left, what[0])
    b = as_scalar(context, node, right, what[1])
    match symbol:
        case "+" | "-" | "*":
            if wider(a.type, b.type, "int") == "int":
                return Scalar(f"{_INTEGER[symbol]}({_int(a)}, {_int(b)})", "int")
            return Scalar(
                f"({_int(a)} {symbol} {_int(b)})",
                "float",
                difference=difference(left, right) if symbol == "-" else None,
            )
        case "/":
            return Scalar(f"(float64({a.code}) / float64({b.code}))", "float")
        case "//" | "%":
            name = "quotient" if symbol == "//" else "remainder"
            if wider(a.type, b.type) == "float":
                return Scalar(
                    f"float_{name}(float64({a.code}), float64({b.code}))", "float"
                )
            return Scalar(f"integer_{name}({_int(a)}, {_int(b)})", "int")
        case "**":
            return _power(context, node, a, right)
    return _bits(context, node, symbol, a, b, right)


def _wide(number: Any) -> Any:
    return np.float64(number) if isinstance(number, float) else np.int64(number)


def _int(scalar: Scalar) -> str:
    return f"int64({scalar.code})" if scalar.type == "bool" else scalar.code


def _power(context: Context, node: ast.AST, base: Scalar, exponent: Value) -> Scalar:
    if isinstance(exponent, Static) and type(exponent.value) is int:
        whole = exponent.value
        if 0 < whole <= LARGEST_POWER:
            kind = wider(base.type, "int")
            if whole == 1:
                return Scalar(_int(base), kind)
            if kind == "int":
                return Scalar(f"integer_power({_int(base)}, {whole})", kind)
            code = context.named(base.code)
            if whole == 2:
                return Scalar(f"({code} * {code})", kind)
            return Scalar(f"whole_power({code}, {whole})", kind)
        if base.type != "float":
            raise context.refusal(
                node,
                f"integers are raised to constant powers from 1 to {LARGEST_POWER}",
                "make the base a float",
            )
    power = as_scalar(context, node, exponent, "a number to the right of **")
    if base.type != "float" and power.type != "float":
        raise context.refusal(
            node,
            f"integers are raised to constant powers from 1 to {LARGEST_POWER}",
            "make the base a float",
        )
    return Scalar(f"math.pow(float64({base.code}), float64({power.code}))", "float")


def _bits(
    context: Context, node: ast.AST, symbol: str, a: Scalar, b: Scalar, right: Value
) -> Scalar:
    if "float" in (a.type, b.type):
        raise context.refusal(node, f"{symbol} works on integers and truth values")
    if symbol in ("<<", ">>"):
        if not (isinstance(right, Static) and 0 <= right.value < 64):
            raise context.refusal(node, "shifts are by constants from 0 to 63")
        return Scalar(f"({_int(a)} {symbol} {right.value})", "int")
    if a.type == b.type == "bool":
        return Scalar(f"({a.code} {symbol} {b.code})", "bool")
    return Scalar(f"({_int(a)} {symbol} {_int(b)})", "int")


def _unary(context: Context, node: ast.UnaryOp) -> Value:
    if isinstance(node.op, ast.Not):
        truth = as_truth(context, node.operand, context.value(node.operand))
        return Scalar(f"(not {truth})", "bool")
    value = context.value(node.operand)
    if isinstance(value, Static) and is_number(value.value):
        with np.errstate(all="ignore"):
            if isinstance(node.op, ast.USub):
                return Static((-_wide(value.value)).item())
    scalar = as_scalar(context, node.operand, value)
    if isinstance(node.op, ast.USub):
        return Scalar(f"(-{_int(scalar)})", wider(scalar.type, "int"))
    if isinstance(node.op, ast.UAdd):
        return Scalar(_int(scalar), wider(scalar.type, "int"))
    if scalar.type == "float":
        raise context.refusal(node, "~ works on integers")
    return Scalar(f"(~{_int(scalar)})", "int")


def _tuple(context: Context, node: ast.Tuple | ast.List) -> Value:
    return Tuple(tuple(context.value(e) for e in node.elts))


EXPRESSIONS.update(
    {
        ast.Constant: _constant,
        ast.BinOp: _binary,
        ast.UnaryOp: _unary,
        ast.Tuple: _tuple,
        ast.List: _tuple,
    }
)
