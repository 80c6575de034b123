"""Loops over what can be looped over, as loops over indices."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence

from facility.columnar.fused.context import Context, Loop
from facility.columnar.fused.objects import element, identifier, size, span
from facility.columnar.fused.scalars import is_number
from facility.columnar.fused.values import (
    Chain,
    Collection,
    Combinations,
    Enumerate,
    Numbers,
    Object,
    Range,
    Scalar,
    Static,
    Tuple,
    Value,
    described,
)

Turn = Callable[[Value], None]
"""Lowers one turn of a loop, given the item."""


def levels(value: Value) -> int:
    """Return how many loops of the generated source a loop over it is.

    More than one needs a variable to leave them all.
    """
    match value:
        case Combinations(size=count):
            return count
        case Chain() | Tuple() | Static():
            return 2  # unrolled: what comes after must not be done either
        case Enumerate(of=inner):
            return levels(inner)
    return 1


def loop(
    context: Context, node: ast.AST, over: Value, around: Loop, turn: Turn
) -> None:
    """Write the loop over a value, with what ``turn`` writes inside."""
    context.loops += 1
    match over:
        case Collection(shape=shape):
            begin, end = span(context, over)
            index = context.fresh(f"turn_{shape.name}")
            context.emit(f"for {index} in range({begin}, {end}):")
            with context.indented():
                turn(Object((shape,), index))
        case Numbers(branch=branch):
            begin, end = number_span(context, over)
            index = context.fresh("turn_")
            context.emit(f"for {index} in range({begin}, {end}):")
            with context.indented():
                turn(number(context, branch, index))
        case Range(start=start, stop=stop, step=step):
            index = context.fresh("turn_")
            context.emit(f"for {index} in range({start}, {stop}, {step}):")
            with context.indented():
                turn(Scalar(index, "int"))
        case Combinations(of=collection, size=count):
            _combinations(context, collection, count, around, turn)
        case Enumerate(of=inner, start=start):
            counter = context.fresh("turns_")
            context.emit(f"{counter} = int64({start}) - 1")

            def counted(item: Value) -> None:
                context.emit(f"{counter} += 1")
                turn(Tuple((Scalar(counter, "int"), item)))

            loop(context, node, inner, around, counted)
        case Chain(parts=parts):
            _one_after_another(
                context,
                around,
                [_part(context, node, part, around, turn) for part in parts],
            )
        case Tuple(items=items):
            _unrolled(context, around, items, turn)
        case Static(value=tuple() | list() as items):
            _unrolled(context, around, [Static(i) for i in items], turn)
        case _:
            raise context.refusal(
                node,
                f"{described(over)} is not looped over",
                "loop over a collection, its pairs() or combinations(n), or a range",
            )


def _part(
    context: Context, node: ast.AST, part: Value, around: Loop, turn: Turn
) -> Callable[[], None]:
    return lambda: loop(context, node, part, around, turn)


def _unrolled(
    context: Context, around: Loop, items: Sequence[Value], turn: Turn
) -> None:
    def once(item: Value) -> Callable[[], None]:
        def written() -> None:
            # A loop of one turn, so that break and continue mean what they say.
            context.emit(f"for {context.fresh('once_')} in range(1):")
            with context.indented():
                turn(item)

        return written

    _one_after_another(context, around, [once(item) for item in items])


def _one_after_another(
    context: Context, around: Loop, parts: Sequence[Callable[[], None]]
) -> None:
    for position, part in enumerate(parts):
        if position and around.is_stopped:
            context.emit(f"if not {around.stop}:")
            with context.indented():
                part()
        else:
            part()
        leave_if_done(context)


def leave_if_done(context: Context) -> None:
    """Leave the loop that is being written, if a helper has returned within."""
    if context.frame.is_done_used:
        context.emit(f"if {context.frame.done}:")
        with context.indented():
            context.emit("break")


def _combinations(
    context: Context, collection: Collection, count: int, around: Loop, turn: Turn
) -> None:
    begin, end = span(context, collection)
    shape = collection.shape
    indices = [context.fresh(f"turn_{shape.name}") for _ in range(count)]

    def nested(level: int, first: str) -> None:
        context.emit(f"for {indices[level]} in range({first}, {end}):")
        with context.indented():
            if level == count - 1:
                turn(Tuple(tuple(Object((shape,), i) for i in indices)))
                return
            nested(level + 1, f"{indices[level]} + 1")
            if around.is_stopped:
                context.emit(f"if {around.stop}:")
                with context.indented():
                    context.emit("break")
            leave_if_done(context)

    nested(0, begin)


def number_span(context: Context, numbers: Numbers) -> tuple[str, str]:
    """Return where the event's numbers begin and end in their column."""
    context.spans += 1
    name = identifier(numbers.branch)
    return f"{name}__begin", f"{name}__end"


def number(context: Context, branch: str, index: str) -> Scalar:
    """Return one number of a list."""
    type_ = context.branches.type(branch)
    assert type_ is not None
    return element(context.use_branch(branch, type_), type_, index)


def length(context: Context, node: ast.AST, value: Value) -> Scalar:
    """Return what ``len`` gives."""
    match value:
        case Collection():
            return Scalar(size(context, value), "int")
        case Numbers():
            begin, end = number_span(context, value)
            return Scalar(f"({end} - {begin})", "int")
        case Tuple(items=items):
            return Scalar(str(len(items)), "int")
        case Static(value=known) if not is_number(known) and hasattr(known, "__len__"):
            return Scalar(str(len(known)), "int")
    raise context.refusal(node, f"{described(value)} has no length")
