"""``event.Muon``, ``muon.pt``, ``event.Jet[0]``, ``math.pi``."""

from __future__ import annotations

import ast
import types

from facility.columnar.errors import MissingBranchError
from facility.columnar.fused.context import EXPRESSIONS, Context
from facility.columnar.fused.iteration import length, number, number_span
from facility.columnar.fused.objects import EVENT, element, single, span, suggestions
from facility.columnar.fused.requiring import not_plain
from facility.columnar.fused.scalars import as_integer
from facility.columnar.fused.values import (
    Collection,
    Event,
    Histogram,
    Method,
    Numbers,
    Object,
    Static,
    Tuple,
    Value,
    Vector,
    described,
)
from facility.columnar.fused.vectors import ATTRIBUTES, METHODS, attribute


def _attribute(context: Context, node: ast.Attribute) -> Value:
    owner = context.value(node.value)
    name = node.attr
    match owner:
        case Event():
            return event_attribute(context, node, name)
        case Object() | Vector():
            return _of_momentum(context, node, owner)
        case Collection() if name in ("pairs", "combinations"):
            return Method(owner, name)
        case Histogram() if name == "fill":
            return Method(owner, name)
        case Static(value=types.ModuleType() as module) if hasattr(module, name):
            return Static(getattr(module, name))
    offers = {
        Collection: ": it is looped over, or has pairs() and combinations(n)",
        Histogram: ": it is filled, nothing else",
    }.get(type(owner), "")
    raise context.refusal(node, f"{described(owner)} has no {name!r}{offers}")


def _of_momentum(
    context: Context, node: ast.Attribute, owner: Object | Vector
) -> Value:
    name = node.attr
    if name in METHODS:
        return Method(owner, name)
    found = attribute(context, node, owner, name)
    if found is not None:
        return found
    known = [*ATTRIBUTES, *METHODS]
    if isinstance(owner, Object):
        known += [f for s in owner.shapes for f in s.fields]
    near = suggestions(name, known)
    raise context.refusal(node, f"{described(owner)} has no {name!r}{near}")


def event_attribute(context: Context, node: ast.AST, name: str) -> Value:
    """Return what the event has under a name: objects, or a branch."""
    shape = context.branches.shape(name)
    if shape is not None:
        return Collection(shape) if shape.is_jagged else single(shape)
    try:
        found = context.branches.type(name)
    except MissingBranchError as error:
        body = context.frame.body
        raise MissingBranchError(
            f"{body.where(node)}: `{body.text(node)}`: {error}"
        ) from None
    if found is None:
        raise context.refusal(node, str(not_plain(name)))
    if found.is_jagged:
        context.use_numbers(name, found)
        return Numbers(name)
    context.uses_event = True
    return element(context.use_branch(name, found), found, EVENT)


def _subscript(context: Context, node: ast.Subscript) -> Value:
    if isinstance(node.slice, ast.Slice):
        raise context.refusal(node, "slices are not in the language", "loop, and break")
    owner = context.value(node.value)
    position = context.value(node.slice)
    match owner, position:
        case Event(), Static(value=str() as name):
            return event_attribute(context, node, name)
        case Tuple(items=items), Static(value=int() as at):
            if not -len(items) <= at < len(items):
                raise context.refusal(node, f"there are {len(items)} values")
            return items[at]
        case Static(value=tuple() | list() | dict() as known), Static(value=at):
            try:
                return Static(known[at])
            except (LookupError, TypeError):
                raise context.refusal(node, f"there is no item {at!r}") from None
        case Collection() | Numbers(), _:
            return _item(context, node, owner, position)
    raise context.refusal(node, f"{described(owner)} has no items here")


def _item(
    context: Context, node: ast.Subscript, owner: Collection | Numbers, position: Value
) -> Value:
    index = context.named(
        as_integer(context, node.slice, position, "an integer in brackets"), "item"
    )
    begin, _ = (
        span(context, owner)
        if isinstance(owner, Collection)
        else number_span(context, owner)
    )
    count = length(context, node, owner).code
    context.check(
        node,
        f"{index} >= {count} or {index} < -{count}",
        "there is no such item in the event",
    )
    if isinstance(position, Static):
        at = (
            f"{begin} + {index}"
            if position.value >= 0
            else f"{begin} + {count} + {index}"
        )
    else:
        at = f"{begin} + ({index} if {index} >= 0 else {count} + {index})"
    at = context.named(at, "item")
    if isinstance(owner, Collection):
        return Object((owner.shape,), at)
    return number(context, owner.branch, at)


EXPRESSIONS[ast.Attribute] = _attribute
EXPRESSIONS[ast.Subscript] = _subscript
