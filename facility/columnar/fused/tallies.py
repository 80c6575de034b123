"""How many objects of an event are so and so, without a loop for each event.

``sum(jet.pt > 40 for jet in event.Jet)`` is a loop whose end cannot be predicted, which
costs more than all it adds. If it asks nothing but the objects, it is done for a block
of events at a time: whole numbers are added up object after object, and each event has
the difference between two of these sums, which is exact.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from typing import Any

from facility.columnar.fused.context import Context
from facility.columnar.fused.objects import identifier, span
from facility.columnar.fused.program import Tally
from facility.columnar.fused.scalars import as_scalar, as_truth
from facility.columnar.fused.values import Collection, Object, Scalar
from facility.columnar.fused.variables import Binding

_VALUE = re.compile(r"\s*\w+ = .*")


def tally(
    context: Context,
    generator: ast.GeneratorExp | ast.ListComp,
    function: Callable[..., Any],
) -> Scalar | None:
    """Return ``any``, ``all`` or ``sum`` of a generator as a difference of sums.

    None if a back end is to have loops, or what is added is not a whole number that
    depends on the object alone.
    """
    if not context.has_tallies or len(generator.generators) != 1:
        return None
    (clause,) = generator.generators
    if not isinstance(clause.target, ast.Name):
        return None
    name = clause.target.id
    asked = [generator.elt, *clause.ifs]
    used = {n.id for a in asked for n in ast.walk(a) if isinstance(n, ast.Name)}
    if used & {*context.frame.names} - {name}:
        return None
    over = context.value(clause.iter)
    if not isinstance(over, Collection):
        return None
    outer, loops = context.frame.names, context.loops
    context.frame.names = {**outer, name: Binding(Object((over.shape,), "j"))}
    try:
        with context.captured() as lines:
            added = _added(context, generator, function)
    finally:
        context.frame.names = outer
    is_plain = all(_VALUE.fullmatch(line) for line in lines)
    if added is None or context.loops != loops or not is_plain:
        return None
    begin, end = span(context, over)
    array = context.fresh("tally_")
    made = Tally(
        identifier(over.shape.name), array, tuple(map(str.strip, lines)), added
    )
    context.tallies.append(made)
    difference = f"({array}[{end} - {made.base}] - {array}[{begin} - {made.base}])"
    if function is sum:
        return Scalar(difference, "int")
    return Scalar(f"({difference} {'!=' if function is any else '=='} 0)", "bool")


def _added(
    context: Context,
    generator: ast.GeneratorExp | ast.ListComp,
    function: Callable[..., Any],
) -> str | None:
    """Return code of what an object adds; none if that is no whole number."""
    (clause,) = generator.generators
    conditions = [as_truth(context, n, context.value(n)) for n in clause.ifs]
    value = context.value(generator.elt)
    if function is sum:
        scalar = as_scalar(context, generator.elt, value)
        if scalar.type == "float":
            return None
        code = f"int64({scalar.code})"
    else:
        truth = as_truth(context, generator.elt, value)
        code = f"int64({truth if function is any else f'not {truth}'})"
    return f"({code} if {' and '.join(conditions)} else 0)" if conditions else code
