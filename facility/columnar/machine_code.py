"""Machine code of compiled functions, kept on disk: numba is imported only to compile.

Importing numba and compiling take seconds; loading what another process has compiled
takes milliseconds and needs llvmlite alone. Code is kept under a name that says what it
depends on: what it was made of, by which versions, for which processor.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import threading
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

from facility.columnar.baskets.store import read_entry, write_entry

KIND = "code"
"""In the store, which only the user can have written: what it holds is executed."""
OPTIONS: dict[str, Any] = {
    "_nrt": False,
    "error_model": "numpy",
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
}
"""For ``numba.njit`` of what is to stand alone, without memory management of numba."""

Function = Callable[..., int]
"""Takes integers and addresses, 64 bits each, returns one; holds no interpreter lock.
Several threads may call it at once."""

_ENTRY = "run"
_EXTERNAL = {
    *("sin", "cos", "tan", "asin", "acos", "atan", "atan2", "sinh", "cosh", "tanh"),
    *("exp", "exp2", "expm1", "log", "log1p", "log10", "log2", "sqrt", "asinh"),
    *("acosh", "atanh", "hypot", "pow", "fmod", "fabs", "floor", "ceil", "copysign"),
    *("memset", "memcpy", "memmove", "sincos"),
}
"""What machine code may call: the C library's mathematics, which every process has."""


class NotAloneError(Exception):
    """Compiled code needs a function that a process without numba does not have."""


@cache
def is_available() -> bool:
    """Return whether this environment has what compiles."""
    return all(importlib.util.find_spec(name) for name in ("numba", "llvmlite"))


def named(*parts: str) -> str:
    """Return the name of the code that is made of these parts, here and now.

    Raises:
        ImportError: what compiles is not installed.
    """
    text = "\0".join((*parts, *_surroundings()))
    return f"{hashlib.sha256(text.encode()).hexdigest()}.o"


def find(name: str, arguments: int) -> Function | None:
    """Return a function that was compiled before; none if it was not, or is damaged."""
    with _compiling:
        return _found(name, arguments)


def load(name: str, arguments: int, compiled: Callable[[], Any]) -> Function:
    """Return a function, compiled now if no process of this user did it before.

    Args:
        name: of all that it depends on, from :func:`named`.
        arguments: how many it takes.
        compiled: returns it as ``numba.njit`` made it of one signature, with
            :data:`OPTIONS`; what it raises comes through.

    Raises:
        NotAloneError: it calls what no other process will have.
    """
    with _compiling:
        found = _found(name, arguments)
        if found is None:
            code = _object_file(compiled())
            write_entry(KIND, name, code)
            found = _linked(code, arguments)
        return found


_compiling = threading.Lock()
"""Numba's compiler and LLVM's loader do one thing at a time."""


@cache
def _llvm() -> ModuleType:
    from llvmlite import binding  # tens of milliseconds, and an optional extra

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    module: ModuleType = binding
    return module


@cache
def _surroundings() -> tuple[str, ...]:
    """Return what machine code depends on beside its source."""
    llvm = _llvm()
    return (
        Path(__file__).read_text(),
        *(version(name) for name in ("numba", "llvmlite", "numpy")),
        llvm.get_process_triple(),
        llvm.get_host_cpu_name(),
        llvm.get_host_cpu_features().flatten(),
    )


def _found(name: str, arguments: int) -> Function | None:
    code = read_entry(KIND, name)
    return None if code is None else _linked(code, arguments)


def _object_file(compiled: Any) -> bytes:
    """Return machine code whose one entry is called :data:`_ENTRY`."""
    (result,) = compiled.overloads.values()
    # What numba linked and optimised, without the rest of its session.
    module = _llvm().parse_assembly(result.library.get_llvm_str())
    needed = {v.name for v in module.global_variables if v.is_declaration}
    for function in module.functions:
        if function.is_declaration and not function.name.startswith("llvm."):
            needed.add(function.name)
        elif function.name == result.fndesc.llvm_func_name:
            function.name = _ENTRY
    if unknown := needed - _EXTERNAL:
        raise NotAloneError(f"compiled code needs {', '.join(sorted(unknown))}")
    code: bytes = _machine().emit_object(module)
    return code


def _linked(code: bytes, arguments: int) -> Function:
    llvm = _llvm()
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _machine())
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    address = engine.get_function_address(_ENTRY)
    # Numba's convention: where the result goes, where an exception would, arguments.
    function = ctypes.CFUNCTYPE(
        ctypes.c_int32,
        ctypes.POINTER(ctypes.c_int64),
        ctypes.c_void_p,
        *[ctypes.c_int64] * arguments,
    )(address)

    def call(*given: int) -> int:
        result = ctypes.c_int64()
        # The engine owns the machine code: this closure keeps it.
        assert engine
        function(ctypes.byref(result), None, *given)
        return result.value

    return call


def _machine() -> Any:
    llvm = _llvm()
    return llvm.Target.from_triple(llvm.get_process_triple()).create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        opt=3,
        codemodel="jitdefault",
        jit=True,
    )
