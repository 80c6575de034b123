"""Kernels of a program as source: text in, text out; nothing here needs a GPU.

One thread per event (or per object, if the program is flat), grid-stride loops. Histograms that fit are private to a block, in shared memory, and added to the
whole at its end; others are filled where they are.
"""

from __future__ import annotations

from dataclasses import dataclass

from facility.columnar.fused.program import Momenta, Program

SHARED_BYTES = 16 * 1024
"""For private histograms of one block: several blocks share a processor's memory."""
COMPONENTS = ("px", "py", "pz", "energy")
_WORD = 8


@dataclass(frozen=True, slots=True)
class Place:
    """Where a histogram is within the one array of its kind."""

    start: int
    size: int
    is_weighted: bool
    is_private: bool


def places(program: Program) -> dict[str, Place]:
    """Return where each histogram lives; the smallest ones are private."""
    sizes = {name: program.storage(name).size for name in program.layouts}
    free = SHARED_BYTES // _WORD
    private = set()
    for name in sorted(sizes, key=sizes.__getitem__):
        if sizes[name] <= free:
            free -= sizes[name]
            private.add(name)
    starts = {True: 0, False: 0}
    found = {}
    for name, size in sizes.items():
        weighted = name in program.weighted
        found[name] = Place(starts[weighted], size, weighted, name in private)
        starts[weighted] += size
    return found


def module_source(program: Program) -> str:
    """Return the device functions and kernels of a program.

    The text defines ``count``, ``weigh``, ``weigh_squares`` and ``body``, to be made
    device functions, and the kernels :func:`momenta_kernel` of each of the program's
    momenta and ``fill(units, <parameters>, failure)``.
    """
    parts = [_ADDING, program.source]
    parts += [_momenta(program, momenta) for momenta in program.momenta]
    parts.append(_fill(program))
    return "\n\n".join(parts)


def momenta_kernel(momenta: Momenta) -> str:
    """Return the name of the kernel that computes the components."""
    return f"compute_{momenta.parameter}"


_ADDING = """\
def count(histogram, bin):
    cuda.atomic.add(histogram, bin, int64(1))


def weigh(histogram, bin, weight):
    cuda.atomic.add(histogram, bin, float64(weight))


def weigh_squares(histogram, bin, weight):
    cuda.atomic.add(histogram, 2 * bin, float64(weight))
    cuda.atomic.add(histogram, 2 * bin + 1, float64(weight) * float64(weight))
"""


def _momenta(program: Program, momenta: Momenta) -> str:
    columns = ", ".join(i.parameter for i in program.inputs)
    stride = len(momenta.components)
    stores = "\n".join(
        f"        {momenta.parameter}[{stride} * j + {position}] = {component}"
        for position, component in enumerate(momenta.components)
    )
    return f"""\
def {momenta_kernel(momenta)}(size, {columns}, {momenta.parameter}):
    for j in range(cuda.grid(1), size, cuda.gridsize(1)):
        {", ".join(COMPONENTS)} = {momenta.function}({", ".join(momenta.arguments)})
{stores}
"""


def _fill(program: Program) -> str:
    private = {n: p for n, p in places(program).items() if p.is_private}
    given = [f"{n}_here" if n in private else n for n in program.parameters]
    opening = "\n".join(
        f"""\
    {name}_here = cuda.shared.array({place.size}, {_dtype(place)})
    for bin in range(cuda.threadIdx.x, {place.size}, cuda.blockDim.x):
        {name}_here[bin] = 0"""
        for name, place in private.items()
    )
    closing = "\n".join(
        f"""\
    for bin in range(cuda.threadIdx.x, {place.size}, cuda.blockDim.x):
        if {name}_here[bin] != 0:
            cuda.atomic.add({name}, bin, {name}_here[bin])"""
        for name, place in private.items()
    )
    together = "    cuda.syncthreads()\n" if private else ""
    return f"""\
def fill(units, {", ".join(program.parameters)}, failure):
{opening}
{together}    for at in range(cuda.grid(1), units, cuda.gridsize(1)):
        status = body({", ".join(["int64(at)", *given])})
        if status != 0:
            cuda.atomic.min(failure, 0, int64(at) * {len(program.failures) + 1} + status)
{together}{closing}
"""


def _dtype(place: Place) -> str:
    return "float64" if place.is_weighted else "int64"
