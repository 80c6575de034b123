"""The digest of an analysis: equal for equal code, whatever the session.

Pickles will not do: they hold line numbers and differ from one process to the next.
"""

from __future__ import annotations

import hashlib
import types
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

_PLAIN = (bool, int, float, complex, str, bytes, types.NoneType)


def code_digest(function: Callable[..., Any]) -> str:
    """Return the sha256 of a function's code and of what it refers to.

    Covered: bytecode, constants, defaults, closures, and the functions and plain
    values among its globals, recursively, of the notebook or script that it is from;
    of installed packages only the name (the environment's digest has their versions).
    Not covered: the contents of arrays and of other objects.
    """
    digest = hashlib.sha256()
    for piece in _pieces(function, getattr(function, "__module__", None), set()):
        digest.update(piece.encode("utf-8", "surrogatepass"))
        digest.update(b"\0")
    return digest.hexdigest()


def _pieces(value: Any, home: str | None, seen: set[int]) -> Iterator[str]:
    if id(value) in seen:
        return
    if isinstance(value, _PLAIN):
        yield f"{type(value).__name__}:{value!r}"
        return
    seen.add(id(value))
    if isinstance(value, types.FunctionType):
        if value.__module__ != home:
            yield f"function:{value.__module__}.{value.__qualname__}"
            return
        yield from _code(value.__code__)
        for default in (*(value.__defaults__ or ()),):
            yield from _pieces(default, home, seen)
        for cell in value.__closure__ or ():
            yield from _pieces(cell.cell_contents, home, seen)
        for name in _names(value.__code__):
            if name in value.__globals__:
                yield name
                yield from _pieces(value.__globals__[name], home, seen)
    elif isinstance(value, partial):
        for part in (value.func, value.args, value.keywords):
            yield from _pieces(part, home, seen)
    elif isinstance(value, types.ModuleType):
        yield f"module:{value.__name__}"
    elif isinstance(value, dict):
        for key, item in value.items():
            yield repr(key)
            yield from _pieces(item, home, seen)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _pieces(item, home, seen)
    else:
        kind = value if isinstance(value, type) else type(value)
        yield f"object:{kind.__module__}.{kind.__qualname__}"


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
