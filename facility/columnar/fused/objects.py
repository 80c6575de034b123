"""Objects and collections: where their fields are in the flat columns."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable

from facility.columnar.columns import ColumnType
from facility.columnar.errors import nearest
from facility.columnar.fused.context import Context
from facility.columnar.fused.values import Collection, Object, Scalar, Type
from facility.columnar.fused.variables import wider
from facility.columnar.schemas import Shape

EVENT = "at"
"""The index of the event (of the object, if the program is flat) in the source."""


def span(context: Context, collection: Collection) -> tuple[str, str]:
    """Return where the event's objects begin and end in their columns."""
    context.spans += 1
    name = identifier(collection.shape.name)
    context.use_list(collection.shape)
    return f"{name}__begin", f"{name}__end"


def size(context: Context, collection: Collection) -> str:
    """Return how many objects the event has."""
    begin, end = span(context, collection)
    return f"({end} - {begin})"


def identifier(name: str) -> str:
    """Return a name of a file as one of the generated source."""
    return re.sub(r"\W", "_", name)


def single(shape: Shape) -> Object:
    """Return the one object of its kind that every event has."""
    return Object((shape,), EVENT)


def field(context: Context, node: ast.AST, owner: Object, name: str) -> Scalar | None:
    """Return a stored field of an object; none if no branch has it."""
    if not all(name in shape.fields for shape in owner.shapes):
        return None
    return chosen(owner, lambda shape: load(context, node, shape, name, owner.index))


def chosen(owner: Object, of: Callable[[Shape], Scalar]) -> Scalar:
    """Return a number that depends on the kind that an object turns out to be."""
    scalars = [of(shape) for shape in owner.shapes]
    if len(scalars) == 1:
        return scalars[0]
    kind = wider(*(s.type for s in scalars))
    code = scalars[-1].code
    for tag in reversed(range(len(scalars) - 1)):
        code = f"({scalars[tag].code} if {owner.tag} == {tag} else {code})"
    return Scalar(code, kind)


def load(
    context: Context, node: ast.AST, shape: Shape, field_name: str, index: str
) -> Scalar:
    """Return the code that reads a field of the object at an index."""
    branch = shape.fields[field_name]
    found = context.branches.type(branch)
    if found is None or found.is_jagged != shape.is_jagged:
        raise context.refusal(
            node, f"branch {branch} is not one number for each {shape.name}"
        )
    if shape.is_jagged:
        context.use_list(shape, branch)
    else:
        context.uses_event = True
    return element(context.use_branch(branch, found), found, index)


def element(parameter: str, type_: ColumnType, index: str) -> Scalar:
    """Return the code that reads one number of a column."""
    kind, code = {
        "f": ("float", f"float64({parameter}[{index}])"),
        "i": ("int", f"int64({parameter}[{index}])"),
        "u": ("int", f"int64({parameter}[{index}])"),
        "b": ("bool", f"({parameter}[{index}] != 0)"),
    }[type_.dtype.kind]
    return Scalar(code, _TYPES[kind])


_TYPES: dict[str, Type] = {"float": "float", "int": "int", "bool": "bool"}


def suggestions(name: str, known: list[str]) -> str:
    """Return words for the end of a sentence about a name that is not there."""
    near = nearest(name, known)
    return f": did you mean {', '.join(near)}?" if near else ""
