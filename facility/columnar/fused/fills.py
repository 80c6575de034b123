"""``histogram.fill(x, y, "category", weight=w)``: which bin, and what is added."""

from __future__ import annotations

import ast

import numpy as np

from facility.columnar.fused.axes import Axis, Layout
from facility.columnar.fused.context import Context
from facility.columnar.fused.scalars import as_float, as_integer, as_scalar, as_truth
from facility.columnar.fused.values import Histogram, Scalar, Static, Value, described


def fill(context: Context, node: ast.Call, histogram: Histogram) -> Value:
    """Write the filling of one entry."""
    layout = context.layouts[histogram.name]
    values, weight = _arguments(context, node, histogram.name, layout)
    places: list[str] = []
    tests: list[str] = []
    for i, (axis, stride) in enumerate(zip(layout.axes, layout.strides, strict=True)):
        code = context.named(_bin(context, values[i], f"{histogram.name}__{i}", axis))
        tests += [f"{code} >= 0"] * (_may_be_below(axis) and not axis.has_underflow)
        tests += [f"{code} < {axis.bins}"] * (not axis.has_overflow)
        place = f"({code} + 1)" if axis.has_underflow else code
        places.append(place if stride == 1 else f"{place} * {stride}")
    added = _added(context, node, histogram.name, " + ".join(places), weight)
    if not tests:
        context.emit(added)
        return Static(None)
    context.emit(f"if {' and '.join(tests)}:")
    with context.indented():
        context.emit(added)
    return Static(None)


def _arguments(
    context: Context, node: ast.Call, name: str, layout: Layout
) -> tuple[dict[int, ast.expr], ast.expr | None]:
    """Return the value for each axis, and the weight."""
    weight: ast.expr | None = None
    given: dict[int, ast.expr] = dict(enumerate(node.args))
    by_name = {axis.name: i for i, axis in enumerate(layout.axes) if axis.name}
    for keyword in node.keywords:
        if keyword.arg == "weight":
            weight = keyword.value
        elif keyword.arg in by_name:
            given[by_name[keyword.arg]] = keyword.value
        else:
            expected = ", ".join([*by_name, "weight"])
            raise context.refusal(
                node, f"fill() has no keyword {keyword.arg!r}: expected {expected}"
            )
    if sorted(given) != [*range(len(layout.axes))]:
        raise context.refusal(
            node, f"{name} has {len(layout.axes)} axes, got {len(given)} values"
        )
    return given, weight


def _added(
    context: Context, node: ast.Call, name: str, at: str, weight: ast.expr | None
) -> str:
    """Return the statement that adds an entry to a bin."""
    layout = context.layouts[name]
    context.filled.append(name)
    if context.nothing:
        return f"return {at}"
    if weight is None and name not in context.known.weighted:
        return f"count({bins(name)}, {at})"
    code = "1.0"
    if weight is not None:
        if not layout.takes_weights:
            raise context.refusal(
                node, f"{name} counts integers (Int64) and takes no weights"
            )
        context.known.weighted[name] = None
        code = context.named(as_float(context, weight, context.value(weight)))
        context.emit(f"if {code} != {code}:")
        with context.indented():
            context.emit("count(nan_weights, 0)")
    return f"{'weigh_squares' if layout.has_variance else 'weigh'}({bins(name)}, {at}, {code})"


def bins(histogram: str) -> str:
    """Return the parameter that holds a histogram's bins."""
    return f"{histogram}__bins"


def _may_be_below(axis: Axis) -> bool:
    return axis.kind in ("regular", "variable", "integer") and not axis.is_circular


def _bin(context: Context, node: ast.expr, where: str, axis: Axis) -> str:
    """Return code of the bin, from -1 (below) to ``bins`` (beyond)."""
    value = _category(context, node, axis) if axis.kind == "text" else None
    if value is not None:
        return value
    found = context.value(node)
    closed = "" if axis.has_overflow else "closed_"
    match axis.kind:
        case "regular":
            low, width = axis.numbers
            x = as_float(context, node, found)
            if axis.forward:
                x = f"{axis.forward[0]}({', '.join([x, *axis.forward[1:]])})"
            function = "circular_bin" if axis.is_circular else f"{closed}regular_bin"
            return f"{function}({x}, {low!r}, {width!r}, {axis.bins})"
        case "variable":
            edges = _constant(context, f"{where}_edges", axis)
            x = as_float(context, node, found)
            return f"{closed}variable_bin({x}, {edges}, {axis.bins})"
        case "integer":
            x = as_integer(context, node, found, "an integer for an Integer axis")
            return f"integer_bin({x}, {axis.numbers[0]}, {axis.bins})"
        case "int category":
            x = as_integer(context, node, found, "an integer for an IntCategory axis")
            categories = _constant(context, f"{where}_categories", axis)
            return f"category_bin({x}, {categories}, {axis.bins})"
        case _:
            scalar = as_scalar(context, node, found, "a truth value")
            return f"int64({as_truth(context, node, scalar)})"


def _constant(context: Context, name: str, axis: Axis) -> str:
    assert isinstance(axis.values, np.ndarray)
    context.constants[name] = axis.values
    return name


def _category(context: Context, node: ast.expr, axis: Axis) -> str:
    """Return the position of a text that is known now, or of one of two."""
    if isinstance(node, ast.IfExp):
        test = as_truth(context, node.test, context.value(node.test))
        sides = (_category(context, side, axis) for side in (node.body, node.orelse))
        first, second = sides
        return f"({first} if {test} else {second})"
    value = context.value(node)
    assert isinstance(axis.values, tuple)
    match value:
        case Static(value=str() as text):
            known = text in axis.values
            return str(axis.values.index(text) if known else axis.bins)
        case Scalar():
            got = "a number"
        case _:
            got = described(value)
    raise context.refusal(
        node,
        f"the category of axis {axis.name!r} must be a text that is written there, "
        f"got {got}",
    )
