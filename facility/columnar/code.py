"""The digest of an analysis: equal for equal code, whatever the session.

Pickles will not do: they hold line numbers and differ from one process to the next.
"""

from __future__ import annotations

import hashlib
import types
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

_PLAIN = (bool, int, float, complex, str, bytes, types.NoneType)


def code_digest(function: Callable[..., Any]) -> str:
    """Return the sha256 of a function's code and of what it refers to.

    Covered: bytecode, constants, defaults, closures, and the functions and plain
    values among its globals, recursively, of the notebook or script that it is from,
    numpy arrays included; of installed packages only the name (the environment's
    digest has their versions). Not covered: the contents of other objects.
    """
    digest = hashlib.sha256()
    for piece in _pieces(function, getattr(function, "__module__", None), set()):
        digest.update(piece.encode("utf-8", "surrogatepass"))
        digest.update(b"\0")
    return digest.hexdigest()


def _pieces(value: Any, home: str | None, seen: set[int]) -> Iterator[str]:
    if not isinstance(value, _PLAIN):
        if id(value) in seen:
            return
        seen.add(id(value))
    match value:
        case types.FunctionType() if value.__module__ == home:
            yield from _code(value.__code__)
            parts = _referred(value)
        case partial():
            parts = iter((value.func, value.args, value.keywords))
        case dict():
            parts = (part for item in value.items() for part in item)
        case tuple() | list():
            parts = iter(value)
        case _:
            yield _leaf(value)
            return
    for part in parts:
        yield from _pieces(part, home, seen)


def _leaf(value: Any) -> str:
    """Return plain values and arrays by content, all else by name."""
    if isinstance(value, _PLAIN):
        return f"{type(value).__name__}:{value!r}"
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        content = hashlib.sha256(value.tobytes()).hexdigest()
        return f"array:{value.dtype.str}:{value.shape}:{content}"
    # Functions, ufuncs, classes and modules have names; other objects their class's.
    for named in (value, type(value)):
        name = getattr(named, "__qualname__", None) or getattr(named, "__name__", None)
        if name is not None:
            break
    return f"object:{getattr(named, '__module__', None)}.{name}"


def _referred(function: types.FunctionType) -> Iterator[Any]:
    """Yield defaults, closure and the globals by name that a function uses."""
    yield from function.__defaults__ or ()
    yield function.__kwdefaults__
    for cell in function.__closure__ or ():
        yield cell.cell_contents
    for name in _names(function.__code__):
        if name in function.__globals__:
            yield name
            yield function.__globals__[name]


def _code(code: types.CodeType) -> Iterator[str]:
    yield code.co_code.hex()
    yield repr(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _code(constant)
        elif isinstance(constant, frozenset):  # its order is not fixed
            yield repr(sorted(map(repr, constant)))
        else:
            yield repr(constant)


def _names(code: types.CodeType) -> Iterator[str]:
    """Yield the globals that a function may use, those of inner functions too."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)
