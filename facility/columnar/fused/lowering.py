"""From a body to a program: an ordinary loop over one event, over flat arrays.

Input: a :class:`~facility.columnar.fused.body.Body` (source and captured values), what
a file offers (:class:`~facility.columnar.fused.branches.Branches`: types of branches,
shapes of objects) and the layouts of the histograms that are the body's parameters.

Output: a :class:`~facility.columnar.fused.program.Program`: the source of a function
``body(at, ...)`` that does one event, what it takes, which four-momenta are computed
before it, and what can make it fail.

In between every expression is a value of a kind (:mod:`.values`): event, collection,
object, four-momentum, number, Python constant, histogram. Abstract interpretation
follows the body once per place in the text (a chained loop's body once per part, a
helper once per call), so kinds are known there, whatever branch is taken:

- what is constant stays constant (``if`` of constants, thresholds, categories);
- an object is an index into its columns; variables hold indices, a sum of objects its
  four components; a variable that may be a muon or an electron has a kind beside it;
- a variable that may be ``None``, or have no value yet, has a state beside it, which
  is asked where it is read: the body fails there as it would in Python;
- what may fail (an index, a missing value) returns the number of the failure.

Types of variables are learnt in one pass and used in the next: see :mod:`.variables`.
A body that is one loop whose turns do not depend on each other becomes a program of
that collection's objects (:attr:`Program.is_flat`): events, and where they begin, are
not asked for.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import replace

from facility.columnar.fused import (  # noqa: F401 - they register what they lower
    attributes,
    calls,
    logic,
    operators,
    statements,
)
from facility.columnar.fused.axes import Layout
from facility.columnar.fused.body import Body
from facility.columnar.fused.branches import Branches
from facility.columnar.fused.context import Context
from facility.columnar.fused.errors import KernelError
from facility.columnar.fused.fills import bins
from facility.columnar.fused.nearest import initial
from facility.columnar.fused.objects import EVENT, identifier
from facility.columnar.fused.program import List, Program, Tally
from facility.columnar.fused.values import Event, Histogram
from facility.columnar.fused.variables import Binding, Known, Slot, vector_names

MOST_PASSES = 50
"""Types of variables widen a few times at most; more is a fault of ours."""


def lower(body: Body, branches: Branches, layouts: Mapping[str, Layout]) -> Program:
    """Return the program that does what the body does.

    Raises:
        KernelError: something in the body is not in the language.
        MissingBranchError: the file has no such branch.
    """
    context = _settled(body, branches, layouts)
    loop = _independent_loop(context)
    if loop is not None:
        flat = _settled(body, branches, layouts, loop)
        if any(slot.is_checked for slot in flat.known.slots.values()):
            loop = None  # a turn looks at what an earlier one has left
        else:
            context = flat
    program = _program(context)
    if not _fills_once(context):
        return program
    (layout,) = (layouts[name] for name in context.filled)
    nothing = str(layout.bins)
    again = _settled(body, branches, layouts, loop, nothing)
    more = _names(again.tallies)
    # It is given what the body takes, so it must not take anything else.
    if again.loops or _program(again).parameters != program.parameters:
        return program
    return replace(
        program,
        bins=_source("bin_of", again, program, more),
        tallies=tuple(again.tallies),
    )


def _names(tallies: Sequence[Tally]) -> tuple[str, ...]:
    return tuple(name for one in tallies for name in (one.base, one.parameter))


def _settled(
    body: Body,
    branches: Branches,
    layouts: Mapping[str, Layout],
    flat: ast.For | None = None,
    nothing: str = "",
) -> Context:
    """Lower until nothing new is learnt."""
    known = Known()
    for _ in range(MOST_PASSES):
        before = known.digest()
        context = Context(body, branches, dict(layouts), known)
        context.flat, context.nothing = flat, nothing
        context.has_tallies = bool(nothing)
        event, *others = body.parameters
        names = context.frame.names
        names[event] = Binding(Event())
        names.update({n: Binding(Histogram(n)) for n in others})
        if context.block(body.definition.body):
            context.leave()
        if known.digest() == before:
            if context.undetermined:
                raise context.undetermined
            return context
    raise KernelError(f"{body.file}:{body.first_line}: {body.name} does not settle")


def _fills_once(context: Context) -> bool:
    """Return whether the body is a choice of at most one bin, or a loop over such."""
    is_one = len(context.filled) == 1 and len(context.layouts) == 1
    return is_one and not context.failures and not context.known.weighted


def _independent_loop(context: Context) -> ast.For | None:
    """Return the loop that is all of the body, if its turns can be done one by one."""
    plain = [
        s
        for s in context.frame.body.definition.body
        if not (isinstance(s, ast.Pass) or _is_text(s))
    ]
    if len(plain) != 1 or not isinstance(plain[0], ast.For):
        return None
    only = plain[0]
    leaves = (ast.Break, ast.Return)
    if any(isinstance(n, leaves) for s in only.body for n in ast.walk(s)):
        return None
    if context.spans != 1 or context.uses_event:
        return None
    # The one span is the loop's own: is it over one list, from its beginning?
    match only.iter:
        case (
            ast.Attribute(attr=str(name))
            | ast.Subscript(slice=ast.Constant(value=str(name)))
        ):
            facts = context.branches.facts
            found = facts.get(f"object {name}") or facts.get(f"branch {name}")
            return only if found and found.is_jagged else None
    return None


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _program(context: Context) -> Program:
    lists = tuple(
        List(identifier(name), tuple(branches), context.counts[name])
        for name, branches in context.lists.items()
    )
    program = Program(
        name=context.frame.body.name,
        source="",
        bins="",
        tallies=(),
        is_flat=context.flat is not None,
        inputs=tuple(context.inputs.values()),
        lists=lists,
        momenta=tuple(context.momenta.values()),
        constants=context.constants,
        layouts={bins(name): layout for name, layout in context.layouts.items()},
        weighted=frozenset(bins(name) for name in context.known.weighted),
        failures=tuple(context.failures),
        facts=dict(context.branches.facts),
    )
    return replace(program, source=_source("body", context, program))


def _source(
    name: str, context: Context, program: Program, more: tuple[str, ...] = ()
) -> str:
    lines: list[str] = []
    if context.flat is None:
        for item in program.lists:
            lines.append(f"{item.name}__begin = {item.offsets}[{EVENT}]")
            lines.append(f"{item.name}__end = {item.offsets}[{EVENT} + 1]")
    for variable, slot in context.known.slots.items():
        lines += _initial(variable, slot)
        lines += initial(variable, context.known.targets.get(variable, {}))
    taken = dict.fromkeys((EVENT, *program.parameters, *more))
    head = f"def {name}({', '.join(taken)}):"
    return "\n".join([head, *(f"    {x}" for x in (*lines, *context.lines)), ""])


def _initial(name: str, slot: Slot) -> list[str]:
    """Return lines that give a variable a type; the value is not read."""
    lines = [f"{name}__state = 0"] if slot.is_checked else []
    match slot.kind:
        case "scalar":
            zero = {"bool": "False", "int": "int64(0)", "float": "0.0"}[slot.type]
            lines.append(f"{name} = {zero}")
        case "object":
            lines.append(f"{name} = int64(0)")
            if len(slot.shapes) > 1:
                lines.append(f"{name}__kind = int64(0)")
        case "vector":
            lines += [f"{part} = 0.0" for part in vector_names(name)]
    return lines
