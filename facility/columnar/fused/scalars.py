"""Values as numbers and truth values, constants among them."""

from __future__ import annotations

import ast
import math
from typing import Any

import numpy as np

from facility.columnar.fused.context import Context
from facility.columnar.fused.objects import span
from facility.columnar.fused.values import (
    Collection,
    Object,
    Scalar,
    Static,
    Truth,
    Tuple,
    Value,
    described,
)


def is_number(value: Any) -> bool:
    """Return whether a Python value is one number or truth value."""
    return isinstance(value, bool | int | float | np.bool_ | np.integer | np.floating)


def constant(value: Any) -> Scalar:
    """Return a Python number as code."""
    if isinstance(value, bool | np.bool_):
        return Scalar(repr(bool(value)), "bool")
    if isinstance(value, int | np.integer):
        # Typed: a literal is of 32 bits on some back ends.
        return Scalar(repr(int(value)) if value >= 0 else f"({int(value)})", "int")
    number = float(value)
    if math.isnan(number):
        return Scalar("math.nan", "float")
    if math.isinf(number):
        return Scalar("math.inf" if number > 0 else "(-math.inf)", "float")
    return Scalar(
        repr(number) if math.copysign(1, number) > 0 else f"({number!r})", "float"
    )


def as_scalar(
    context: Context, node: ast.AST, value: Value, what: str = "a number"
) -> Scalar:
    """Return a value as a number; refuse it if it is none."""
    match value:
        case Scalar():
            return value
        case Static(value=number) if is_number(number):
            return constant(number)
    hint = (
        "write `bool(a or b)`, or `a if a else b`" if isinstance(value, Truth) else ""
    )
    raise context.refusal(node, f"expected {what}, got {described(value)}", hint)


def as_float(context: Context, node: ast.AST, value: Value) -> str:
    """Return code of a floating-point number."""
    scalar = as_scalar(context, node, value)
    return scalar.code if scalar.type == "float" else f"float64({scalar.code})"


def as_truth(context: Context, node: ast.AST, value: Value) -> str:
    """Return code of what ``if`` makes of a value."""
    match value:
        case Scalar(type="bool"):
            return value.code
        case Scalar():
            return f"({value.code} != 0)"
        case Truth():
            return value.code
        case Static(value=known):
            return repr(bool(known))
        case Collection():
            begin, end = span(context, value)
            return f"({begin} != {end})"
    hint = "write `is not None`" if isinstance(value, Object | Tuple) else ""
    raise context.refusal(
        node, f"expected something true or false, got {described(value)}", hint
    )


def as_integer(context: Context, node: ast.AST, value: Value, what: str) -> str:
    """Return code of an integer."""
    scalar = as_scalar(context, node, value, what)
    if scalar.type == "float":
        raise context.refusal(node, f"expected {what}, got a floating-point number")
    return scalar.code if scalar.type == "int" else f"int64({scalar.code})"


def as_type(scalar: Scalar, kind: str) -> str:
    """Return code of a number in a type that holds it."""
    if scalar.type == kind:
        return scalar.code
    return f"{'float64' if kind == 'float' else 'int64'}({scalar.code})"
