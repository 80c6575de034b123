"""The compiled decoder, kept as machine code so that numba is needed only once.

Numba takes more than a second to import and to call the first time; loading what it
made, with LLVM alone, takes a twentieth of that. The code is kept in the user's cache
folder, under a name that says by which versions, for which processor and from which
source it was made.
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
from typing import Any

from facility.columnar.baskets.store import read_entry, write_entry

Decoder = Callable[[int], int]
"""Takes the address of a request, returns a fault; holds no interpreter lock."""

_lock = threading.Lock()


@cache
def is_available() -> bool:
    """Return whether this environment has what compiles."""
    return importlib.util.find_spec("numba") is not None


def is_compiled() -> bool:
    """Return whether :func:`decoder` takes a moment rather than seconds."""
    with _lock:
        return _kept() is not None


def decoder() -> Decoder:
    """Return the decoder, compiled now if no run before this one did.

    Raises:
        ImportError: numba is not installed.
    """
    with _lock:
        kept = _kept()
        if kept is None:
            entry = _compile()
            write_entry("machine", _name(), entry)
            kept = _loaded[_name()] = _load(entry)
        return kept


_loaded: dict[str, Decoder] = {}


def _kept() -> Decoder | None:
    """Return the decoder if it is in this process or in the cache folder."""
    name = _name()
    if name not in _loaded:
        entry = read_entry("machine", name)
        if entry is None:
            return None
        _loaded[name] = _load(entry)
    return _loaded[name]


@cache
def _name() -> str:
    """Return a name that says what the machine code depends on."""
    import llvmlite.binding as llvm

    digest = hashlib.sha256()
    for part in (
        version("numba"),
        version("llvmlite"),
        llvm.get_process_triple(),
        llvm.get_host_cpu_name(),
        llvm.get_host_cpu_features().flatten(),
    ):
        digest.update(f"{part}\n".encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return f"decode-{digest.hexdigest()[:32]}"


def _compile() -> bytes:
    """Return the decoder's symbol, a zero byte, and an object file that has it."""
    import llvmlite.binding as llvm
    from numba import njit, types

    from facility.columnar.baskets.decoding import decode
    from facility.columnar.baskets.pointers import OPTIONS

    made = njit(types.int64(types.int64), **OPTIONS)(decode.py_func)
    result: Any
    (result,) = made.overloads.values()
    # What numba linked and optimised, without the rest of its session.
    module = llvm.parse_assembly(result.library.get_llvm_str())
    code: bytes = _target().emit_object(module)
    symbol = str(result.fndesc.llvm_func_name)
    return symbol.encode() + b"\0" + code


def _load(entry: bytes) -> Decoder:
    import llvmlite.binding as llvm

    symbol, _, code = entry.partition(b"\0")
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _target())
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    address = engine.get_function_address(symbol.decode())
    # Numba's convention: where the result goes, where an exception would, arguments.
    function = ctypes.CFUNCTYPE(
        ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64
    )(address)
    return _Loaded(engine, function)


class _Loaded:
    """The machine code lives as long as the engine that holds it."""

    def __init__(self, engine: Any, function: Any) -> None:
        self._engine = engine
        self._function = function

    def __call__(self, request: int) -> int:
        result = ctypes.c_int64()
        exception = ctypes.c_void_p()
        self._function(ctypes.byref(result), ctypes.byref(exception), request)
        return result.value


def _target() -> Any:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_triple(llvm.get_process_triple()).create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        opt=3,
        jit=True,
    )
