"""Names: what they stand for, assignments to them, and whether they have a value."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from facility.columnar.fused import runtime
from facility.columnar.fused.body import builtin
from facility.columnar.fused.context import (
    EXPRESSIONS,
    RESERVED,
    Context,
    UndeterminedError,
    assigned_names,
)
from facility.columnar.fused.nearest import follow
from facility.columnar.fused.scalars import as_type, constant, is_number
from facility.columnar.fused.values import (
    Chain,
    Combinations,
    Enumerate,
    Method,
    Object,
    Range,
    Scalar,
    Static,
    Truth,
    Tuple,
    Value,
    Vector,
    described,
)
from facility.columnar.fused.variables import (
    STATE_CODES,
    Binding,
    Names,
    Slot,
    State,
    item_names,
    vector_names,
)

CALLED = {name for module in runtime.MODULES for name in vars(module)}
"""Names that generated code needs for itself."""


def variable(context: Context, name: str) -> str:
    """Return what a variable of the body is called in the generated source."""
    full = context.frame.prefix + name
    return f"{full}_" if full in RESERVED or full in CALLED else full


def _name(context: Context, node: ast.Name) -> Value:
    name = node.id
    binding = context.frame.names.get(name)
    if binding is None:
        return _global(context, node)
    if binding.states == {"none"}:
        return Static(None)
    if binding.value is None:
        if "set" not in binding.states:
            raise context.refusal(node, f"{name} has no value here")
        reason = f"what {name} is here depends on what was done before"
        hint = (
            "numbers, objects, their sums, tuples of these and None can differ, "
            "nothing else"
        )
        raise UndeterminedError(context.refusal(node, reason, hint))
    if binding.states != {"set"}:
        slot = context.known.slot(variable(context, name))
        slot.is_checked = True
        nothing = "None" if "none" in binding.states else "without a value"
        context.check(
            node,
            f"{variable(context, name)}__state != {STATE_CODES['set']}",
            f"{name} is {nothing}",
        )
    return binding.value


def _global(context: Context, node: ast.Name) -> Value:
    captured = context.frame.body.captured
    if node.id in captured:
        return Static(captured[node.id])
    try:
        return Static(builtin(node.id))
    except KeyError:
        raise context.refusal(node, f"the name {node.id!r} is not defined") from None


def is_none(context: Context, node: ast.Name, is_negated: bool) -> Value:
    """Return whether a variable is None (or is not)."""
    binding = context.frame.names.get(node.id)
    if binding is None or "none" not in binding.states:
        value = context.value(node)
        return Static((value == Static(None)) != is_negated)
    if binding.states == {"none"}:
        return Static(not is_negated)
    name = variable(context, node.id)
    context.known.slot(name).is_checked = True
    if "unset" in binding.states:
        context.check(
            node,
            f"{name}__state == {STATE_CODES['unset']}",
            f"{node.id} is without a value",
        )
    symbol = "!=" if is_negated else "=="
    return Scalar(f"({name}__state {symbol} {STATE_CODES['none']})", "bool")


def assign(context: Context, node: ast.AST, name: str, value: Value) -> None:
    """Make a name stand for a value from here on."""
    place = variable(context, name)
    slot = context.known.slot(place)
    if isinstance(value, Static) and value.value is None:
        slot.has_none = True
        _state(context, slot, place, "none")
        # What it may hold at other times stays known.
        names = context.frame.names
        names[name] = Binding(context.known.value(place), frozenset({"none"}))
        return
    context.frame.names[name] = Binding(store(context, node, place, value))
    _state(context, slot, place, "set")


def store(context: Context, node: ast.AST, place: str, value: Value) -> Value:
    """Write what computes a value into variables; return it as held by these."""
    match value:
        case Static(value=number) if is_number(number):
            return store(context, node, place, constant(number))
        case Scalar():
            slot = _widened(context, node, place, Slot("scalar", value.type))
            if (code := as_type(value, slot.type)) != place:
                context.emit(f"{place} = {code}")
                follow(context, place)
            return Scalar(place, slot.type)
        case Object():
            slot = _widened(context, node, place, Slot("object", shapes=value.shapes))
            return _store_object(context, place, value, slot)
        case Vector():
            _widened(context, node, place, Slot("vector"))
            parts = (value.px, value.py, value.pz, value.energy)
            # Computed before any is stored: one may be made of others.
            codes = [context.named(p) for p in parts]
            for target, code in zip(vector_names(place), codes, strict=True):
                context.emit(f"{target} = {code}")
            return Vector(*vector_names(place))
        case Tuple():
            length = len(value.items)
            _widened(context, node, place, Slot("tuple", length=length))
            # Computed before any is stored: one may be made of others.
            items = [_held(context, item) for item in value.items]
            names = item_names(place, length)
            return Tuple(
                tuple(
                    store(context, node, name, item)
                    for name, item in zip(names, items, strict=True)
                )
            )
        case Range() | Enumerate() | Chain() | Combinations() | Method():
            raise context.refusal(
                node,
                f"{described(value)} cannot be kept in a variable",
                "write it where it is looped over",
            )
        case Truth():
            raise context.refusal(
                node,
                f"{described(value)} cannot be kept in a variable",
                "write `bool(a or b)`, or `a if a else b`",
            )
    context.known.slot(place).has_other = True
    return value


def _store_object(context: Context, place: str, value: Object, slot: Slot) -> Object:
    if value.index != place:
        context.emit(f"{place} = {value.index}")
    tag = f"{place}__kind"
    if len(slot.shapes) > 1:
        order = [s.name for s in slot.shapes]
        codes = [order.index(s.name) for s in value.shapes]
        code = str(codes[-1])
        for i in reversed(range(len(codes) - 1)):
            code = f"({codes[i]} if {value.tag} == {i} else {code})"
        context.emit(f"{tag} = {code}")
        if len(value.shapes) > 1:
            return Object(slot.shapes, place, tag)
    return Object(value.shapes, place)


def _widened(context: Context, node: ast.AST, place: str, seen: Slot) -> Slot:
    slot = context.known.slot(place)
    if slot.kind not in (None, seen.kind):
        raise context.refusal(
            node, f"the variable holds one {slot.kind} and elsewhere one {seen.kind}"
        )
    slot.widen(seen)
    return slot


def _state(context: Context, slot: Slot, place: str, state: State) -> None:
    if slot.is_checked:
        context.emit(f"{place}__state = {STATE_CODES[state]}")


def assign_target(
    context: Context, node: ast.AST, target: ast.expr, value: Value
) -> None:
    """Assign to a name, or unpack to several."""
    match target:
        case ast.Name():
            assign(context, node, target.id, value)
        case ast.Tuple() | ast.List():
            items = unpacked(context, node, value, len(target.elts))
            # All are computed before the first is assigned: a, b = b, a.
            if len(items) > 1:
                items = [_held(context, item) for item in items]
            for one, item in zip(target.elts, items, strict=True):
                assign_target(context, node, one, item)
        case _:
            raise context.refusal(
                node, "only variables are assigned to: events are read, not written"
            )


def unpacked(context: Context, node: ast.AST, value: Value, count: int) -> list[Value]:
    """Return the items of a tuple of a known length."""
    if isinstance(value, Static) and isinstance(value.value, tuple | list):
        value = Tuple(tuple(Static(v) for v in value.value))
    if not isinstance(value, Tuple):
        raise context.refusal(node, f"expected {count} values, got {described(value)}")
    if len(value.items) != count:
        raise context.refusal(node, f"expected {count} values, got {len(value.items)}")
    return list(value.items)


def _held(context: Context, value: Value) -> Value:
    """Return a value in variables of its own."""
    match value:
        case Scalar():
            name = context.fresh("held_")
            context.emit(f"{name} = {value.code}")
            return Scalar(name, value.type)
        case Object(index=index, tag=tag) if not index.startswith("turn_"):
            names = [context.fresh("held_") for _ in range(2)]
            context.emit(f"{names[0]} = {index}")
            if tag:
                context.emit(f"{names[1]} = {tag}")
            return Object(value.shapes, names[0], names[1] if tag else "")
        case Vector():
            return Vector(
                *(
                    context.named(f"({c})")
                    for c in (value.px, value.py, value.pz, value.energy)
                )
            )
        case Tuple():
            return Tuple(tuple(_held(context, item) for item in value.items))
    return value


def merge(context: Context, one: Names, other: Names) -> Names:
    """Return what names stand for where two ways through the body meet."""
    unset = Binding(None, frozenset({"unset"}))
    merged: Names = {}
    for name in {**one, **other}:
        a, b = one.get(name, unset), other.get(name, unset)
        states = a.states | b.states
        if a.value == b.value or "set" not in b.states:
            value = a.value
        elif "set" not in a.states:
            value = b.value
        else:
            value = context.known.value(variable(context, name))
        merged[name] = Binding(value, states)
    return merged


def widen_for_loop(context: Context, statements: Sequence[ast.AST]) -> None:
    """Let names stand for all that a loop may make of them."""
    names = context.frame.names
    for name in dict.fromkeys(assigned_names(statements)):
        before = names.get(name, Binding(None, frozenset({"unset"})))
        slot = context.known.slot(variable(context, name))
        states: frozenset[State] = before.states | {"set"}
        if slot.has_none:
            states |= {"none"}
        names[name] = Binding(context.known.value(variable(context, name)), states)


EXPRESSIONS[ast.Name] = _name
