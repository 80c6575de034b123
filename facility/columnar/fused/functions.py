"""Functions that the language has: builtins, ``math``, numpy, ``itertools``."""

from __future__ import annotations

import ast
import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from facility.columnar.fused.context import (
    Context,
)
from facility.columnar.fused.ieee import ONE_NUMBER, QUESTIONS, TWO_NUMBERS
from facility.columnar.fused.iteration import length
from facility.columnar.fused.scalars import (
    as_float,
    as_integer,
    as_scalar,
    as_truth,
    as_type,
)
from facility.columnar.fused.values import (
    Chain,
    Collection,
    Combinations,
    Enumerate,
    Range,
    Scalar,
    Static,
    Value,
)
from facility.columnar.fused.variables import wider

Handler = Callable[[Context, ast.Call, list[Value]], Value]


def combined(
    context: Context, node: ast.Call, owner: Value, sizes: list[Value]
) -> Value:
    """Return the combinations of a collection."""
    match owner, sizes:
        case Collection(), [Static(value=int() as count)] if 2 <= count <= 4:
            return Combinations(owner, count)
    raise context.refusal(
        node, "combinations are of one collection, of 2, 3 or 4 objects"
    )


def _count(context: Context, node: ast.Call, values: list[Value], *counts: int) -> None:
    if len(values) not in counts:
        expected = " or ".join(map(str, counts))
        raise context.refusal(node, f"expected {expected} arguments, got {len(values)}")


def _library(name: str, arguments: int, kind: str = "float") -> Handler:
    def handler(context: Context, node: ast.Call, values: list[Value]) -> Value:
        _count(context, node, values, arguments)
        codes = ", ".join(as_float(context, node, v) for v in values)
        return Scalar(f"{name}({codes})", "bool" if kind == "bool" else "float")

    return handler


def _absolute(context: Context, node: ast.Call, values: list[Value]) -> Value:
    _count(context, node, values, 1)
    scalar = as_scalar(context, node, values[0])
    kind = wider(scalar.type, "int")
    about = scalar.difference
    return Scalar(
        f"abs({as_type(scalar, kind)})",
        kind,
        difference=about and replace(about, is_absolute=True),
    )


def _extreme(function: str) -> Handler:
    def handler(context: Context, node: ast.Call, values: list[Value]) -> Value:
        if len(values) == 1 and hasattr(values[0], "items"):
            values = list(values[0].items)
        if len(values) < 2:
            raise context.refusal(node, "expected at least 2 numbers")
        scalars = [as_scalar(context, node, v) for v in values]
        kind = wider(*(s.type for s in scalars))
        code = as_type(scalars[0], kind)
        for scalar in scalars[1:]:
            code = f"{function}({code}, {as_type(scalar, kind)})"
        return Scalar(code, kind)

    return handler


def _whole(function: str) -> Handler:
    """Return what makes integers of numbers; what has none stops the body."""

    def handler(context: Context, node: ast.Call, values: list[Value]) -> Value:
        _count(context, node, values, 1)
        scalar = as_scalar(context, node, values[0])
        if scalar.type != "float":
            return Scalar(as_type(scalar, "int"), "int")
        name = context.named(f"{function}({scalar.code})" if function else scalar.code)
        context.check(
            node,
            f"not (-9.2e18 < {name} < 9.2e18)",
            "the number is infinite, NaN, or too large for an integer",
        )
        return Scalar(f"int64({name})", "int")

    return handler


def _floating(context: Context, node: ast.Call, values: list[Value]) -> Value:
    _count(context, node, values, 1)
    return Scalar(as_float(context, node, values[0]), "float")


def _truth(context: Context, node: ast.Call, values: list[Value]) -> Value:
    _count(context, node, values, 1)
    return Scalar(as_truth(context, node, values[0]), "bool")


def _length(context: Context, node: ast.Call, values: list[Value]) -> Value:
    _count(context, node, values, 1)
    return length(context, node, values[0])


def _range(context: Context, node: ast.Call, values: list[Value]) -> Value:
    _count(context, node, values, 1, 2, 3)
    codes = [as_integer(context, node, v, "integers in range()") for v in values]
    if len(values) == 3:
        step = values[2]
        if not isinstance(step, Static) or step.value == 0:
            raise context.refusal(
                node, "the step of range() is a constant other than 0"
            )
        return Range(codes[0], codes[1], int(step.value))
    start, stop = codes if len(codes) == 2 else ("0", codes[0])
    return Range(start, stop, 1)


def _enumerate(context: Context, node: ast.Call, values: list[Value]) -> Value:
    _count(context, node, values, 1, 2)
    start = "0"
    if len(values) == 2:
        start = as_integer(context, node, values[1], "an integer as the start")
    return Enumerate(values[0], start)


def _chain(_: Context, __: ast.Call, values: list[Value]) -> Value:
    return Chain(tuple(values))


def _combinations(context: Context, node: ast.Call, values: list[Value]) -> Value:
    _count(context, node, values, 2)
    return combined(context, node, values[0], values[1:])


_SPELLED = {"fmod": "np.fmod"}
"""What numba has in numpy's module only."""

FUNCTIONS: dict[Any, Handler] = {
    **{
        getattr(module, called): _library(_SPELLED.get(name, f"math.{name}"), arguments)
        for table, arguments in ((ONE_NUMBER, 1), (TWO_NUMBERS, 2))
        for name, of_numpy in table.items()
        for module, called in ((math, name), (np, of_numpy))
    },
    **{
        getattr(module, name): _library(f"math.{name}", 1, "bool")
        for module in (math, np)
        for name in QUESTIONS
    },
    abs: _absolute,
    np.abs: _absolute,
    min: _extreme("smaller"),
    max: _extreme("larger"),
    int: _whole(""),
    math.trunc: _whole(""),
    math.floor: _whole("np.floor"),
    math.ceil: _whole("np.ceil"),
    np.floor: _library("np.floor", 1),
    np.ceil: _library("np.ceil", 1),
    float: _floating,
    np.float64: _floating,
    bool: _truth,
    len: _length,
    range: _range,
    enumerate: _enumerate,
    itertools.chain: _chain,
    itertools.combinations: _combinations,
}
"""What the language has, by the function itself: however it is imported."""
