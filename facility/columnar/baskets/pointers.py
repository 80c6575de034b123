"""Memory and C functions by address, for what is compiled to stand alone.

What is decorated with :data:`compiled` uses no Python object, no array object and no
memory management of numba: its machine code needs nothing but itself, so that
:mod:`facility.columnar.machine_code` can load it where numba is not imported.

C functions are called by address too, and addresses are data: a library that a
machine does not have is address 0, seen when it is needed, where a symbol that is not
there would end the process while it links.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from facility.columnar.machine_code import OPTIONS

compiled: Any = njit(**OPTIONS)

# Numba has types for a part of itself.
_types: Any = types
_cgutils: Any = cgutils

Pointer = Any
Word = Any
"""In the signatures of compiled functions: what is indexed like an array, of no
length, and an integer of 64 bits."""


def _call(typing_context: Any, address: Any, arguments: Any) -> Any:  # noqa: ARG001
    """Call the function at ``address`` with a tuple of integers and addresses.

    All are passed as 64 bits, as the calling conventions of x86-64 and AArch64 pass
    whatever is shorter; the result is 64 bits, of which a C ``int`` is the lower half.
    """
    words: Any = _types.UniTuple(types.int64, len(arguments))

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:  # noqa: ARG001
        word = ir.IntType(64)
        function = ir.FunctionType(word, [word] * len(arguments))
        pointer = builder.inttoptr(values[0], function.as_pointer())
        return builder.call(pointer, _cgutils.unpack_tuple(builder, values[1]))

    return types.int64(types.int64, words), generate


call: Any = intrinsic(_call)


def _view(kind: Any) -> Any:
    @intrinsic
    def view(typing_context: Any, address: Any) -> Any:  # noqa: ARG001
        pointer = _types.CPointer(kind)

        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:  # noqa: ARG001
            return builder.inttoptr(values[0], context.get_value_type(pointer))

        return pointer(types.int64), generate

    return view


bytes_at = _view(types.uint8)
words16_at = _view(types.uint16)
words32_at = _view(types.uint32)
words64_at = _view(types.uint64)
integers_at = _view(types.int64)
