"""Calls: of methods, of builtins and ``math``, of the person's own functions."""

from __future__ import annotations

import ast
import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from facility.columnar.fused.body import Body
from facility.columnar.fused.context import (
    EXPRESSIONS,
    Context,
    Frame,
    UndeterminedError,
)
from facility.columnar.fused.fills import fill
from facility.columnar.fused.generators import reduction
from facility.columnar.fused.ieee import ONE_NUMBER, QUESTIONS, TWO_NUMBERS
from facility.columnar.fused.iteration import length
from facility.columnar.fused.names import assign, assigned_names
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
    Histogram,
    Method,
    Object,
    Range,
    Scalar,
    Static,
    Value,
    Vector,
    described,
)
from facility.columnar.fused.variables import Binding, wider
from facility.columnar.fused.vectors import method

DEEPEST = 20
"""Helpers within helpers: more is recursion."""

Handler = Callable[[Context, ast.Call, list[Value]], Value]


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
    return _combined(context, node, owner, arguments)


def _combined(
    context: Context, node: ast.Call, owner: Value, sizes: list[Value]
) -> Value:
    match owner, sizes:
        case Collection(), [Static(value=int() as count)] if 2 <= count <= 4:
            return Combinations(owner, count)
    raise context.refusal(
        node, "combinations are of one collection, of 2, 3 or 4 objects"
    )


def inline(context: Context, node: ast.Call, body: Body) -> Value:
    """Lower a function of the person's own in the place of its call."""
    if context.depth >= DEEPEST:
        raise context.refusal(node, f"{body.name} calls itself, or calls go too deep")
    given = _bound(context, node, body)
    outer = context.frame
    # Every call has variables of its own; the place in the text names them.
    prefix = f"{outer.prefix}{body.name}_{node.lineno}_{node.col_offset}_"
    frame = Frame(body, prefix, {}, result="return", done=context.fresh("done_"))
    definition = body.definition
    returns = [n for n in ast.walk(definition) if isinstance(n, ast.Return)]
    last = definition.body[-1]
    frame.is_simple = not returns or (len(returns) == 1 and last is returns[0])
    context.frame = frame
    context.depth += 1
    try:
        _reset(context, prefix)
        reassigned = {*assigned_names(definition.body)}
        for name, value in given.items():
            if name in reassigned:
                assign(context, node, name, value)
            else:
                frame.names[name] = Binding(_once(context, value))
        goes_on = _lowered(context, frame)
        _require_known(context, frame)
    finally:
        context.frame = outer
        context.depth -= 1
    if frame.is_simple:
        return frame.returned[0] if frame.returned else Static(None)
    return _returned(context, node, frame, goes_on)


def _lowered(context: Context, frame: Frame) -> bool:
    """Write a helper's statements; return whether their end can be reached."""
    statements = frame.body.definition.body
    if frame.is_simple:
        return context.block(statements)
    lines, begin = context.lines, len(context.lines)
    # A loop of one turn: its break is how a helper returns.
    context.emit("while True:")
    with context.indented():
        goes_on = context.block(statements)
        if goes_on:
            context.emit("break")
    if frame.is_done_used:
        lines.insert(begin, context.line(f"{frame.done} = False"))
    return goes_on


def _require_known(context: Context, frame: Frame) -> None:
    """Wait for the next pass if what is returned depends on what is not known yet."""
    if not frame.returned and context.undetermined:
        raise UndeterminedError(context.undetermined)


def _returned(context: Context, node: ast.Call, frame: Frame, goes_on: bool) -> Value:
    first, *others = frame.returned
    if all(v == Static(None) for v in frame.returned):
        return Static(None)
    if goes_on or Static(None) in frame.returned:
        raise context.refusal(
            node,
            f"{frame.body.name} may return None",
            "return a value in every case",
        )
    if all(v == first for v in others):
        return first
    name = f"{frame.prefix}{frame.result}"
    found = context.known.slot(name).value(name)
    if found is None:
        raise context.refusal(
            node,
            f"{frame.body.name} returns {described(first)} and elsewhere "
            f"{described(others[0])}",
        )
    return found


def _reset(context: Context, prefix: str) -> None:
    """Begin a call with variables that have no values."""
    for name, slot in context.known.slots.items():
        if slot.is_checked and name.startswith(prefix):
            context.emit(f"{name}__state = 0")


def _once(context: Context, value: Value) -> Value:
    if isinstance(value, Scalar):
        return Scalar(context.named(value.code), value.type, value.squared)
    if isinstance(value, Vector):
        parts = (value.px, value.py, value.pz, value.energy)
        return Vector(*(context.named(p) for p in parts))
    return value


def _bound(context: Context, node: ast.Call, body: Body) -> dict[str, Value]:
    """Return the arguments by parameter."""
    arguments = body.definition.args
    names = [a.arg for a in (*arguments.posonlyargs, *arguments.args)]
    if arguments.vararg or arguments.kwarg or arguments.kwonlyargs:
        raise context.refusal(node, f"{body.name} has parameters with * or **")
    if len(node.args) > len(names):
        raise context.refusal(
            node, f"{body.name} takes {len(names)} arguments, got {len(node.args)}"
        )
    given = {n: context.value(a) for n, a in zip(names, node.args, strict=False)}
    for keyword in node.keywords:
        if keyword.arg not in names or keyword.arg in given:
            raise context.refusal(
                node, f"{body.name} takes no argument {keyword.arg!r} here"
            )
        given[keyword.arg] = context.value(keyword.value)
    first = len(names) - len(body.defaults)
    for name, default in zip(names[first:], body.defaults, strict=True):
        given.setdefault(name, Static(default))
    missing = [n for n in names if n not in given]
    if missing:
        raise context.refusal(node, f"{body.name} needs {', '.join(missing)} too")
    return given


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
    return Scalar(f"abs({as_type(scalar, kind)})", kind)


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
    return _combined(context, node, values[0], values[1:])


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

EXPRESSIONS[ast.Call] = _call
