"""The nearest so far, without a square root for each candidate.

``distance = abs(pair.mass - 91.2)`` and then ``if distance < smallest`` is how the
candidate nearest to a value is found. Few candidates are nearer than the best before,
so the others are to be turned away on the square of the mass: with ``r`` the root of
``x``, ``abs(r - t) < s`` needs ``abs(x - (t^2 + s^2)) <= 2 t s``, but for roundings, for
which the bound is wider. What passes is compared as it is written, so results stay the
same bits. It is one comparison, since which side a candidate is on cannot be predicted;
``t^2 + s^2`` and ``2 t s`` are variables that are computed where ``s`` is assigned.
"""

from __future__ import annotations

import ast
import math

from facility.columnar.fused.context import Context
from facility.columnar.fused.values import Difference, Scalar, Static, Value


def difference(left: Value, right: Value) -> Difference | None:
    """Return what a subtraction is, if it is a square root less a constant."""
    for root, other in ((left, right), (right, left)):
        if isinstance(root, Scalar) and root.squared and isinstance(other, Static):
            target = float(other.value)
            return Difference(root.squared, target) if math.isfinite(target) else None
    return None


def comparison(context: Context, distance: Scalar, bound: Scalar) -> str:
    """Return code of ``distance < bound``, if that needs the root seldom; else nothing."""
    about = distance.difference
    is_variable = bound.type == "float" and bound.code in context.known.slots
    if about is None or not about.is_absolute or not is_variable:
        return ""
    targets = context.known.targets.setdefault(bound.code, {})
    targets[about.target] = None
    middle, width = _names(bound.code, list(targets).index(about.target))
    screen = f"abs({about.squared} - {middle}) <= {width}"
    return f"({screen} and {distance.code} < {bound.code})"


def follow(context: Context, place: str) -> None:
    """Write what is computed where a variable is assigned that is a bound."""
    for i, target in enumerate(context.known.targets.get(place, ())):
        for name, function in zip(
            _names(place, i), ("near_middle", "near_width"), strict=True
        ):
            context.emit(f"{name} = {function}({target!r}, {place})")


def initial(place: str, targets: dict[float, None]) -> list[str]:
    """Return lines after which all candidates pass."""
    pairs = (_names(place, i) for i in range(len(targets)))
    return [
        line
        for middle, width in pairs
        for line in (f"{middle} = 0.0", f"{width} = math.inf")
    ]


def _names(place: str, position: int) -> tuple[str, str]:
    return f"{place}__middle_{position}", f"{place}__width_{position}"


def is_put_off(context: Context, node: ast.Assign, value: Value) -> bool:
    """Return whether a distance is not computed until the comparison that follows.

    That is so if nothing but the ``if`` that comes next reads the variable.
    """
    if not isinstance(value, Scalar) or not value.difference:
        return False
    match node.targets:
        case [ast.Name(id=name)]:
            definition = context.frame.body.definition
            after = _next(definition, node)
            return isinstance(after, ast.If) and (
                _reads(after, name) == _reads(definition, name)
            )
    return False


def _next(definition: ast.AST, node: ast.stmt) -> ast.stmt | None:
    for parent in ast.walk(definition):
        for field in ("body", "orelse"):
            block = getattr(parent, field, None)
            if isinstance(block, list) and node in block[:-1]:
                after: ast.stmt = block[block.index(node) + 1]
                return after
    return None


def _reads(node: ast.AST, name: str) -> int:
    return sum(
        isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Load)
        for n in ast.walk(node)
    )
