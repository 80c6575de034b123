"""Statements: assignments, choices, loops and the ways out of them.

Each function returns whether what follows the statement can be reached.
"""

from __future__ import annotations

import ast

from facility.columnar.fused.context import STATEMENTS, Context, Loop
from facility.columnar.fused.iteration import leave_if_done, levels, loop, number
from facility.columnar.fused.names import (
    assign,
    assign_target,
    merge,
    widen_for_loop,
)
from facility.columnar.fused.nearest import is_put_off
from facility.columnar.fused.objects import EVENT
from facility.columnar.fused.operators import binary
from facility.columnar.fused.scalars import as_truth
from facility.columnar.fused.values import Collection, Numbers, Object, Static, Value
from facility.columnar.fused.variables import Binding, Names


def _assign(context: Context, node: ast.Assign) -> bool:
    value = context.value(node.value)
    if is_put_off(context, node, value):
        assert isinstance(node.targets[0], ast.Name)
        context.frame.names[node.targets[0].id] = Binding(value)
        return True
    for target in node.targets:
        assign_target(context, node, target, value)
    return True


def _annotated(context: Context, node: ast.AnnAssign) -> bool:
    if node.value is not None:
        assign_target(context, node, node.target, context.value(node.value))
    return True


def _augmented(context: Context, node: ast.AugAssign) -> bool:
    if not isinstance(node.target, ast.Name):
        raise context.refusal(
            node, "only variables are assigned to: events are read, not written"
        )
    before = context.value(
        ast.copy_location(ast.Name(node.target.id, ast.Load()), node.target)
    )
    result = binary(context, node, node.op, before, context.value(node.value))
    assign(context, node, node.target.id, result)
    return True


def _expression(context: Context, node: ast.Expr) -> bool:
    if not isinstance(node.value, ast.Constant):
        context.value(node.value)
    return True


def _if(context: Context, node: ast.If) -> bool:
    value = context.value(node.test)
    if isinstance(value, Static):
        return context.block(node.body if value.value else node.orelse)
    truth = as_truth(context, node.test, value)
    before = dict(context.frame.names)
    name, when_true, when_false = _narrowed(node.test, before)
    ways: list[tuple[bool, Names]] = []
    for word, block, narrowed in (
        (f"if {truth}:", node.body, when_true),
        ("else:", node.orelse, when_false),
    ):
        context.frame.names = dict(before)
        if name and narrowed:
            context.frame.names[name] = narrowed
        if block:
            context.emit(word)
            with context.indented():
                goes_on = context.block(block)
        else:
            goes_on = True
        ways.append((goes_on, context.frame.names))
    (first, one), (second, other) = ways
    if first and second:
        context.frame.names = merge(context, one, other)
    elif first or second:
        context.frame.names = one if first else other
    return first or second


def _narrowed(
    test: ast.expr, names: Names
) -> tuple[str, Binding | None, Binding | None]:
    """Return what a name stands for after ``x is None`` was true, and false."""
    match test:
        case ast.Compare(
            left=ast.Name(id=name),
            ops=[ast.Is() | ast.IsNot() as op],
            comparators=[ast.Constant(value=None)],
        ) if name in names:
            binding = names[name]
            nothing = Binding(binding.value, frozenset({"none"}))
            something = Binding(binding.value, frozenset({"set"}))
            if isinstance(op, ast.Is):
                return name, nothing, something
            return name, something, nothing
    return "", None, None


def _for(context: Context, node: ast.For) -> bool:
    _no_else(context, node)
    over = context.value(node.iter)
    around = Loop(levels(over), context.fresh("stop_"))
    if node is context.flat:
        around.levels = 0
    before = dict(context.frame.names)
    widen_for_loop(context, [node.target, *node.body])
    widened = dict(context.frame.names)
    context.frame.loops.append(around)

    def turn(item: Value) -> None:
        context.frame.names = dict(widened)
        assign_target(context, node.target, node.target, item)
        context.block(node.body)

    with context.captured() as lines:
        match over:
            case Collection(shape=shape) if node is context.flat:
                turn(Object((shape,), EVENT))
                if shape.name not in context.lists:
                    context.use_list(shape)  # of which no field is looked at
            case Numbers(branch=branch) if node is context.flat:
                turn(number(context, branch, EVENT))
            case _:
                loop(context, node.iter, over, around, turn)
    context.frame.loops.pop()
    _finish(context, around, lines)
    context.frame.names = merge(context, before, widened)
    return True


def _while(context: Context, node: ast.While) -> bool:
    _no_else(context, node)
    around = Loop(1, context.fresh("stop_"))
    widen_for_loop(context, node.body)
    widened = dict(context.frame.names)
    context.frame.loops.append(around)
    context.loops += 1
    context.emit("while True:")
    with context.indented():
        value = context.value(node.test)
        if not (isinstance(value, Static) and value.value):
            context.emit(f"if not {as_truth(context, node.test, value)}:")
            with context.indented():
                context.emit("break")
        context.block(node.body)
    context.frame.loops.pop()
    _finish(context, around, [])
    context.frame.names = widened
    return True


def _finish(context: Context, around: Loop, lines: list[str]) -> None:
    """Write a loop that is lowered, and what must be done before and after it."""
    if around.is_stopped:
        context.emit(f"{around.stop} = False")
    context.lines += lines
    if context.frame.loops or context.frame.result:
        leave_if_done(context)


def _no_else(context: Context, node: ast.For | ast.While) -> None:
    if node.orelse:
        raise context.refusal(node, "else after a loop is not in the language")


def _break(context: Context, _: ast.Break) -> bool:
    around = context.frame.loops[-1]
    if around.levels > 1:
        around.is_stopped = True
        context.emit(f"{around.stop} = True")
    context.emit("break")
    return False


def _continue(context: Context, _: ast.Continue) -> bool:
    if context.frame.loops[-1].levels:
        context.emit("continue")
    else:
        context.leave()
    return False


def _return(context: Context, node: ast.Return) -> bool:
    frame = context.frame
    if not frame.result:
        if node.value is not None and not (
            isinstance(node.value, ast.Constant) and node.value.value is None
        ):
            raise context.refusal(
                node, "a kernel returns nothing", "fill a histogram parameter"
            )
        context.leave()
        return False
    value = Static(None) if node.value is None else context.value(node.value)
    if not frame.is_simple:
        assign(context, node, frame.result, value)
        value = frame.names[frame.result].value or value
    frame.returned.append(value)
    if frame.is_simple:
        return False
    if frame.loops:
        frame.is_done_used = True
        context.emit(f"{frame.done} = True")
    context.emit("break")
    return False


def _pass(_: Context, __: ast.Pass) -> bool:
    return True


STATEMENTS.update(
    {
        ast.Assign: _assign,
        ast.AnnAssign: _annotated,
        ast.AugAssign: _augmented,
        ast.Expr: _expression,
        ast.If: _if,
        ast.For: _for,
        ast.While: _while,
        ast.Break: _break,
        ast.Continue: _continue,
        ast.Return: _return,
        ast.Pass: _pass,
    }
)
