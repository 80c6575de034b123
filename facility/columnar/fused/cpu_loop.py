"""The source of the CPU's loop round a body.

Four-momenta are computed for a block of events at a time, so that they are still in
the cache when the events are done, and the loop that computes them is vectorised.

A program that fills at most one bin per event is done in two steps: bins of a block,
vectorised and without a branch; then they are counted, in four copies of the histogram
by turns, as a processor waits for the same bin to be stored before it adds to it again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from facility.columnar.fused.program import Momenta, Program, Tally

BLOCK_EVENTS = 256
"""Events whose four-momenta are computed at once: tens of kilobytes."""
BLOCK_OBJECTS = 1024
"""Objects, or events, that need nothing else."""
COPIES = 4
MOST_BINS = 4096
"""Copies of larger histograms would not be in the cache."""

Arrays = Mapping[str, npt.NDArray[Any]]


def source(program: Program) -> str:
    """Return the whole generated source: the body, and ``run``, the loop round it."""
    body = program.bins if _is_counted(program) else program.source
    return f"{body}\n\n{_loop(program)}"


def parameters(program: Program) -> tuple[str, ...]:
    """Return the arrays that ``run`` takes after the number of units, in order."""
    bases = {m.base for m in program.momenta}
    given = (p for p in program.parameters if p not in bases)
    if not _is_counted(program):
        return (*given, "failed")
    tallies = (one.parameter for one in program.tallies)
    return (*given, *tallies, "places", "copies", "failed")


def scratch(
    program: Program, units: int, arrays: Arrays
) -> dict[str, npt.NDArray[Any]]:
    """Return the memory that ``run`` works in, by parameter."""
    made: dict[str, npt.NDArray[Any]] = {}
    for momenta in program.momenta:
        objects = _block(program)
        if momenta.is_jagged and not program.is_flat:
            objects = _most(program, units, arrays[f"{momenta.name}__offsets"])
        made[momenta.parameter] = np.empty(objects * len(momenta.components))
    if _is_counted(program):
        for one in program.tallies:
            objects = _most(program, units, arrays[f"{one.name}__offsets"])
            made[one.parameter] = np.zeros(objects + 1, np.int64)
        made["places"] = np.empty(_block(program), np.int64)
        made["copies"] = np.zeros(COPIES * (_bins(program) + 1), np.int64)
    return made


def _most(program: Program, units: int, offsets: npt.NDArray[np.int64]) -> int:
    """Return how many objects a block of events has at most."""
    edges = np.append(offsets[: units : _block(program)], offsets[units])
    return int(np.max(np.diff(edges), initial=0))


def _is_counted(program: Program) -> bool:
    return bool(program.bins) and _bins(program) <= MOST_BINS


def _bins(program: Program) -> int:
    (layout,) = program.layouts.values()
    return layout.bins


def _block(program: Program) -> int:
    has_lists = program.momenta and not program.is_flat
    return BLOCK_EVENTS if has_lists else BLOCK_OBJECTS


def _loop(program: Program) -> str:
    block = _block(program)
    is_blocked = program.momenta or _is_counted(program)
    lines = [f"def run(units, {', '.join(parameters(program))}):"]
    if not is_blocked:
        lines += [
            "    for at in range(units):",
            *_events(program, "        "),
        ]
    else:
        lines += [
            f"    for first in range(0, units, {block}):",
            f"        last = first + {block}",
            "        if last > units:",
            "            last = units",
        ]
        for momenta in program.momenta:
            lines += _momenta(program, momenta)
        if _is_counted(program):
            lines += _counted(program)
        else:
            lines += ["        for at in range(first, last):"]
            lines += _events(program, "            ")
    if _is_counted(program):
        lines += _added(program)
    return "\n".join([*lines, "    return 0", ""])


def _events(program: Program, pad: str) -> list[str]:
    call = f"body({', '.join(('at', *program.parameters))})"
    if not program.failures:
        return [f"{pad}{call}"]
    return [
        f"{pad}status = {call}",
        f"{pad}if status != 0:",
        f"{pad}    failed[0] = at",
        f"{pad}    return status",
    ]


def _momenta(program: Program, momenta: Momenta) -> list[str]:
    first, last = "first", "last"
    if momenta.is_jagged and not program.is_flat:
        first, last = (f"{momenta.name}__offsets[{x}]" for x in (first, last))
    stride = len(momenta.components)
    call = f"{momenta.function}({', '.join(momenta.arguments)})"
    return [
        f"        {momenta.base} = {first}",
        f"        for j in range({momenta.base}, {last}):",
        f"            px, py, pz, energy = {call}",
        *(
            f"            {momenta.parameter}[{stride} * (j - {momenta.base}) + {i}]"
            f" = {component}"
            for i, component in enumerate(momenta.components)
        ),
    ]


def _tally(tally: Tally) -> list[str]:
    return [
        f"        {tally.base} = {tally.name}__offsets[first]",
        "        tallied = 0",
        f"        for j in range({tally.base}, {tally.name}__offsets[last]):",
        *(f"            {line}" for line in tally.lines),
        f"            tallied += {tally.added}",
        f"            {tally.parameter}[j - {tally.base} + 1] = tallied",
    ]


def _counted(program: Program) -> list[str]:
    tallies = (name for one in program.tallies for name in (one.base, one.parameter))
    taken = dict.fromkeys(("at", *program.parameters, *tallies))
    call = f"bin_of({', '.join(taken)})"
    size = _bins(program) + 1
    return [
        *(line for one in program.tallies for line in _tally(one)),
        "        for at in range(first, last):",
        f"            places[at - first] = {call}",
        f"        whole = (last - first) // {COPIES} * {COPIES}",
        f"        for at in range(0, whole, {COPIES}):",
        *(
            f"            copies[{i * size} + places[at + {i}]] += 1"
            for i in range(COPIES)
        ),
        "        for at in range(whole, last - first):",
        "            copies[places[at]] += 1",
    ]


def _added(program: Program) -> list[str]:
    size = _bins(program) + 1
    copies = " + ".join(f"copies[{i * size} + k]" for i in range(COPIES))
    return [
        f"    for k in range({size - 1}):",
        f"        {program.filled_once}[k] += {copies}",
    ]
