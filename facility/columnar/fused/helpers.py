"""The person's own functions: lowered in the place of their call."""

from __future__ import annotations

import ast

from facility.columnar.fused.body import Body
from facility.columnar.fused.context import (
    Context,
    Frame,
    UndeterminedError,
    assigned_names,
)
from facility.columnar.fused.names import assign
from facility.columnar.fused.values import (
    Scalar,
    Static,
    Truth,
    Value,
    Vector,
    described,
)
from facility.columnar.fused.variables import Binding

DEEPEST = 20
"""Helpers within helpers: more is recursion."""


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
    found = context.known.value(name)
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
    if isinstance(value, Truth):
        return Truth(context.named(value.code))
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
