"""Machine code of generated source, kept on disk: numba is imported only to compile.

Importing numba and compiling take seconds; loading what another process has compiled
takes milliseconds and needs llvmlite alone. Code is kept under a digest of all that it
depends on: the source, the functions that it calls, types, versions, the processor.
"""

from __future__ import annotations

import ctypes
import hashlib
import inspect
import math
import threading
from collections.abc import Callable, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from facility.columnar.baskets.store import read_entry, write_entry
from facility.columnar.errors import one_line
from facility.columnar.fused import accumulation, runtime
from facility.columnar.fused.errors import KernelError

ENTRY = "run"
KIND = "code"
"""In the store, which only the user can have written: what it holds is executed."""
_EXTERNAL = {
    *[
        "sin",
        "cos",
        "tan",
        "asin",
        "acos",
        "atan",
        "atan2",
        "sinh",
        "cosh",
        "tanh",
        "exp",
        "exp2",
        "expm1",
        "log",
        "log1p",
        "log10",
        "log2",
        "sqrt",
        "asinh",
        "acosh",
        "atanh",
        "hypot",
        "pow",
        "fmod",
        "fabs",
        "floor",
        "ceil",
        "copysign",
        "memset",
        "memcpy",
        "memmove",
        "sincos",
    ]
}
"""What machine code may call: the C library's mathematics."""

Run = Callable[..., int]


def load(source: str, types: Sequence[np.dtype[Any]]) -> Run:
    """Return the function ``run(count, *arrays)`` of generated source, compiled.

    It takes the number of events and the arrays' addresses, runs without the
    interpreter's lock, and may be called by several threads at once.

    Args:
        source: defines ``body`` (or ``bin_of``) and ``run``.
        types: of the arrays' numbers.

    Raises:
        KernelError: it is not compiled yet and numba is not installed.
    """
    name = f"{_digest(source, types)}.o"
    code = read_entry(KIND, name)
    if code is None:
        code = _compile(source, types)
        write_entry(KIND, name, code)
    return _loaded(code, len(types))


def _digest(source: str, types: Sequence[np.dtype[Any]]) -> str:
    parts = [source, *(t.str for t in types), _surroundings()]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@cache
def _surroundings() -> str:
    """Return what else machine code depends on."""
    llvm = _llvm()
    modules = (*runtime.MODULES, accumulation, runtime)
    return "\0".join(
        [
            *(inspect.getsource(m) for m in modules),
            Path(__file__).read_text(),
            *(version(name) for name in ("numba", "llvmlite", "numpy")),
            llvm.get_host_cpu_name(),
            llvm.get_host_cpu_features().flatten(),
        ]
    )


@cache
def _llvm() -> ModuleType:
    try:
        version("numba")
        from llvmlite import binding  # tens of milliseconds, and an optional extra
    except (ImportError, PackageNotFoundError) as error:
        raise KernelError(
            "kernels need numba: pip install 'analysis-facility[kernels]' (kernel"
            ".python(events) and the array style do without)"
        ) from error
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    module: ModuleType = binding
    return module


def _machine() -> Any:
    llvm = _llvm()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        opt=3,
        codemodel="jitdefault",
        jit=True,
    )


_compiling = threading.Lock()
"""Numba's compiler and LLVM's loader do one thing at a time."""


def _compile(source: str, types: Sequence[np.dtype[Any]]) -> bytes:
    """Return an object file with the function ``run``."""
    import numba  # takes most of a second, and is only needed here

    compiler: Any = numba.njit  # its types do not have all of its options
    inline = compiler(forceinline=True, error_model="numpy")
    namespace: dict[str, Any] = {
        "np": np,
        "math": math,
        "float64": np.float64,
        "int64": np.int64,
        **runtime.bind(inline),
        **{f.__name__: inline(f) for f in accumulation.FUNCTIONS},
    }
    exec(compile(source, "<kernel>", "exec"), namespace)  # noqa: S102 - our own source
    for name in ("body", "bin_of"):
        if name in namespace:
            namespace[name] = inline(namespace[name])
    pointer: Any = numba.types.CPointer
    signature = numba.int64(numba.int64, *(pointer(numba.from_dtype(t)) for t in types))
    with _compiling:
        try:
            compiled = compiler(
                signature,
                error_model="numpy",
                _nrt=False,
                no_cpython_wrapper=True,
                no_cfunc_wrapper=True,
            )(namespace[ENTRY])
        except numba.core.errors.NumbaError as error:
            raise KernelError(
                "numba does not compile what was generated, which is a fault of ours "
                f"(kernel.source(events) shows it): {one_line(error)}"
            ) from error
        text = compiled.inspect_llvm(compiled.signatures[0])
        return _object_file(text)


def _object_file(text: str) -> bytes:
    """Return machine code that needs nothing but the C library's mathematics."""
    module = _llvm().parse_assembly(text)
    needed = [v.name for v in module.global_variables if v.is_declaration]
    for function in module.functions:
        if not function.is_declaration:
            # Mangled: the length of the name, the name, what tells versions apart.
            if f"{len(ENTRY)}{ENTRY}B" in function.name:
                function.name = ENTRY
        elif not function.name.startswith("llvm."):
            needed.append(function.name)
    unknown = {*needed} - _EXTERNAL
    if unknown or not any(f.name == ENTRY for f in module.functions):
        raise KernelError(
            f"compiled code needs {', '.join(unknown) or ENTRY}, which is a fault of "
            "ours: kernel.python(events) and the array style do without it"
        )
    code: bytes = _machine().emit_object(module)
    return code


def _loaded(code: bytes, arrays: int) -> Run:
    llvm = _llvm()
    with _compiling:
        engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _machine())
        engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        engine.finalize_object()
        address = engine.get_function_address(ENTRY)
    # Numba's calling convention: where the result goes, where an exception would.
    kind = ctypes.CFUNCTYPE(
        ctypes.c_int32,
        ctypes.POINTER(ctypes.c_int64),
        ctypes.c_void_p,
        ctypes.c_int64,
        *[ctypes.c_void_p] * arrays,
    )
    function = kind(address)

    def run(count: int, *addresses: int) -> int:
        result = ctypes.c_int64()
        # The engine owns the machine code: this closure keeps it.
        assert engine
        function(ctypes.byref(result), None, count, *addresses)
        return result.value

    return run
