"""``any``, ``all``, ``sum``, ``min``, ``max`` of a generator: loops."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from facility.columnar.fused.context import Context, Loop
from facility.columnar.fused.iteration import levels, loop
from facility.columnar.fused.names import assign_target, variable
from facility.columnar.fused.scalars import as_scalar, as_truth, as_type, constant
from facility.columnar.fused.tallies import tally
from facility.columnar.fused.values import Scalar, Value
from facility.columnar.fused.variables import wider


def reduction(context: Context, node: ast.Call, function: Callable[..., Any]) -> Value:
    """Return what a builtin makes of the items of a generator."""
    generator = node.args[0]
    if not isinstance(generator, ast.GeneratorExp | ast.ListComp):
        raise context.refusal(
            node,
            f"{function.__name__}() takes a generator here",
            f"{function.__name__}(x.pt for x in event.Muon)",
        )
    default = _default(context, node, function)
    if function in (any, all, sum):
        tallied = tally(context, generator, function)
        if tallied is not None:
            return tallied
    if function in (any, all):
        return _decision(context, generator, is_any=function is any)
    if function is sum:
        return _sum(context, node, generator)
    return _extreme(context, node, generator, function.__name__, default)


def _default(
    context: Context, node: ast.Call, function: Callable[..., Any]
) -> Value | None:
    default = None
    for keyword in node.keywords:
        if keyword.arg != "default" or function not in (min, max):
            raise context.refusal(
                node, f"{function.__name__}() takes no keyword {keyword.arg!r} here"
            )
        default = context.value(keyword.value)
    return default


def _each(
    context: Context,
    generator: ast.GeneratorExp | ast.ListComp,
    around: Loop,
    item: Callable[[], None],
) -> None:
    """Write the loops and conditions of a generator, with ``item`` within."""
    outer = context.frame.names
    context.frame.names = dict(outer)

    def nested(clauses: list[ast.comprehension]) -> None:
        if not clauses:
            item()
            return
        clause, *others = clauses

        def turn(value: Value) -> None:
            assign_target(context, clause.target, clause.target, value)
            for condition in clause.ifs:
                truth = as_truth(context, condition, context.value(condition))
                context.emit(f"if not {truth}:")
                with context.indented():
                    context.emit("continue")
            nested(others)

        over = context.value(clause.iter)
        loop(context, clause.iter, over, around, turn)
        if around.is_stopped and clause is not first:
            context.emit(f"if {around.stop}:")
            with context.indented():
                context.emit("break")

    first = generator.generators[0]
    try:
        with context.captured() as lines:
            nested(generator.generators)
        if around.is_stopped:
            context.emit(f"{around.stop} = False")
        context.lines += lines
    finally:
        context.frame.names = outer


def _decision(
    context: Context, generator: ast.GeneratorExp | ast.ListComp, *, is_any: bool
) -> Value:
    name = context.fresh("any_" if is_any else "all_")
    context.emit(f"{name} = {not is_any}")
    clauses = generator.generators
    is_flat = len(clauses) == 1 and levels(context.value(clauses[0].iter)) == 1
    around = Loop(1 if is_flat else 2, context.fresh("stop_"))

    def item() -> None:
        truth = as_truth(context, generator.elt, context.value(generator.elt))
        context.emit(f"if {truth}:" if is_any else f"if not {truth}:")
        with context.indented():
            context.emit(f"{name} = {is_any}")
            if around.levels > 1:
                around.is_stopped = True
                context.emit(f"{around.stop} = True")
            context.emit("break")

    _each(context, generator, around, item)
    return Scalar(name, "bool")


def _sum(
    context: Context, node: ast.Call, generator: ast.GeneratorExp | ast.ListComp
) -> Value:
    place = _place(context, node, "sum")
    slot = context.known.slot(place)
    slot.kind, slot.type = "scalar", wider(slot.type, "int")
    context.emit(f"{place} = {'0.0' if slot.type == 'float' else '0'}")

    def item() -> None:
        scalar = as_scalar(context, generator.elt, context.value(generator.elt))
        slot.type = wider(slot.type, scalar.type)
        item_code = as_type(scalar, slot.type)
        if slot.type == "float":
            context.emit(f"{place} = {place} + {item_code}")
        else:
            context.emit(f"{place} = integer_sum({place}, {item_code})")

    _each(context, generator, Loop(1), item)
    return Scalar(place, slot.type)


def _extreme(
    context: Context,
    node: ast.Call,
    generator: ast.GeneratorExp | ast.ListComp,
    function: str,
    default: Value | None,
) -> Value:
    place = _place(context, node, function)
    slot = context.known.slot(place)
    slot.kind = "scalar"
    found = context.fresh("found_")
    start = constant(0) if default is None else as_scalar(context, node, default)
    slot.type = wider(slot.type, start.type)
    context.emit(f"{found} = False")
    context.emit(f"{place} = {as_type(start, slot.type)}")

    def item() -> None:
        scalar = as_scalar(context, generator.elt, context.value(generator.elt))
        slot.type = wider(slot.type, scalar.type)
        code = context.named(as_type(scalar, slot.type))
        symbol = "<" if function == "min" else ">"
        context.emit(f"if not {found} or {code} {symbol} {place}:")
        with context.indented():
            context.emit(f"{place} = {code}")
            context.emit(f"{found} = True")

    _each(context, generator, Loop(1), item)
    if default is None:
        context.check(node, f"not {found}", f"{function}() of nothing")
    return Scalar(place, slot.type)


def _place(context: Context, node: ast.Call, what: str) -> str:
    """Return a variable whose type is learnt, like that of the body's own."""
    return variable(context, f"{what}_{node.lineno}_{node.col_offset}")
