"""Calls: of methods, of functions of the language, of the person's own."""

from __future__ import annotations

import ast
from typing import Any

from facility.columnar.fused.body import Body
from facility.columnar.fused.context import (
    EXPRESSIONS,
    Context,
)
from facility.columnar.fused.fills import fill
from facility.columnar.fused.functions import FUNCTIONS, Handler, combined
from facility.columnar.fused.generators import reduction
from facility.columnar.fused.helpers import inline
from facility.columnar.fused.values import (
    Collection,
    Combinations,
    Histogram,
    Method,
    Object,
    Static,
    Value,
    Vector,
)
from facility.columnar.fused.vectors import method


def _call(context: Context, node: ast.Call) -> Value:
    function = context.value(node.func)
    if isinstance(function, Method) and isinstance(function.owner, Histogram):
        return fill(context, node, function.owner)
    if isinstance(function, Static) and isinstance(function.value, Body):
        return inline(context, node, function.value)
    if isinstance(function, Static) and _reduces(node, function.value):
        return reduction(context, node, function.value)
    if node.keywords or any(isinstance(a, ast.Starred) for a in node.args):
        raise context.refusal(node, "this function takes plain arguments only")
    arguments = [context.value(a) for a in node.args]
    if isinstance(function, Method):
        return _method(context, node, function, arguments)
    if isinstance(function, Static) and (handler := _known(function.value)):
        return handler(context, node, arguments)
    raise context.refusal(
        node, f"{ast.unparse(node.func)} is not among the functions of kernels"
    )


def _known(function: Any) -> Handler | None:
    try:
        return FUNCTIONS.get(function)
    except TypeError:  # not hashable, so no function
        return None


def _reduces(node: ast.Call, function: Any) -> bool:
    is_one = function in (any, all, sum, min, max)
    return is_one and len(node.args) == 1 and not _is_tuple(node.args[0])


def _is_tuple(node: ast.expr) -> bool:
    return isinstance(node, ast.Tuple | ast.List)


def _method(
    context: Context, node: ast.Call, called: Method, arguments: list[Value]
) -> Value:
    owner = called.owner
    if isinstance(owner, Object | Vector):
        if len(arguments) != 1:
            raise context.refusal(node, f"{called.name}() takes one other object")
        return method(context, node, called.name, owner, arguments[0])
    assert isinstance(owner, Collection)
    if called.name == "pairs":
        if arguments:
            raise context.refusal(node, "pairs() takes nothing")
        return Combinations(owner, 2)
    return combined(context, node, owner, arguments)


EXPRESSIONS[ast.Call] = _call
